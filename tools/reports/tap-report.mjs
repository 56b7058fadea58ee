// Counts what a TAP report really asserts: its leaves, not the subtests and files around them.

/** → { passed, failed, skipped, failures: names, seen: what tests tell, files: Map of test file → assertions } */
export function readTap(text) {
  const count = { passed: 0, failed: 0, skipped: 0, failures: [], files: new Map() };
  const path = [];
  let failuresInside = [0];
  let atTop = 0;
  for (const line of withoutDiagnostics(text)) {
    const [, indent, subtest] = /^( *)# Subtest: (.*)$/.exec(line) ?? [];
    if (subtest !== undefined) {
      path[indent.length / 4] = subtest;
      failuresInside[indent.length / 4 + 1] = 0;
      continue;
    }
    const point = /^( *)(not ok|ok) \d+(?: - (.*))?$/.exec(line);
    if (!point) continue;
    const depth = point[1].length / 4;
    const { name, directive } = describe(point[3] ?? '');
    const isParent = path[depth] !== undefined && path[depth] === name;
    const failed = point[2] === 'not ok' && !directive;
    if (isParent) path.length = depth;
    const alreadyCounted = isParent && (!failed || failuresInside[depth + 1] > 0);
    if (!alreadyCounted) tally(count, failed, directive, [...path.slice(0, depth), name].join(' > '));
    if (failed) failuresInside[depth] = (failuresInside[depth] ?? 0) + 1;
    if (depth === 0) {
      const total = count.passed + count.failed + count.skipped;
      count.files.set(name, total - atTop);
      atTop = total;
      failuresInside = [0];
    }
  }
  return { ...count, seen: [...text.matchAll(/^ *# seen: (.*)$/gm)].map(([, told]) => told) };
}

function tally(count, failed, directive, name) {
  if (directive) count.skipped += 1;
  else if (failed) {
    count.failed += 1;
    count.failures.push(name);
  } else count.passed += 1;
}

/** A point's name without its timing, and whether it is marked SKIP or TODO. */
function describe(rest) {
  const directive = / # (skip|todo)\b/i.test(` ${rest}`);
  return { directive, name: rest.replace(/(^| )# .*$/, '').replace(/ \{$/, '') };
}

function* withoutDiagnostics(text) {
  let end;
  for (const line of text.split('\n')) {
    if (end !== undefined) {
      if (line === end) end = undefined;
    } else if (/^ *---$/.test(line)) end = line.replace('---', '...');
    else yield line;
  }
}
