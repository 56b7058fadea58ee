// Counts what cargo test and node --test say in their output.

/** → { passed, failed, skipped, failures, runs: how many test programs reported } */
export function readCargo(output) {
  const count = { passed: 0, failed: 0, skipped: 0, failures: [], runs: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    count.passed += Number(passed);
    count.failed += Number(failed);
    count.skipped += Number(ignored);
    count.runs += 1;
  }
  for (const [, name] of output.matchAll(/^test (.*) \.\.\. FAILED$/gm)) count.failures.push(name);
  return count;
}

export function readNodeTest(output) {
  const sum = (word) =>
    [...output.matchAll(new RegExp(`^[#ℹ] ${word} (\\d+)$`, 'gm'))].reduce((total, [, n]) => total + Number(n), 0);
  const failures = [...output.matchAll(/^\s*(?:✖|not ok \d+ -) (.*?)(?: \([\d.]+ms\))?$/gm)].map(([, name]) => name);
  return {
    passed: sum('pass'),
    failed: sum('fail') + sum('cancelled'),
    skipped: sum('skipped') + sum('todo'),
    failures: [...new Set(failures)].filter((name) => name !== 'failing tests:'),
    runs: (output.match(/^[#ℹ] tests \d+$/gm) ?? []).length,
  };
}
