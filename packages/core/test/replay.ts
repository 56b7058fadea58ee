import fc from 'fast-check';
import type { Test } from 'tap';

/** What a failure printed: `SEED`, or `SEED:PATH` for what failed alone, as small as it was found to be. */
const [seed, ...path] = process.env.WEAVE_SEED?.split(':') ?? [];

const isReplay = path.length > 0;

/** Fails with what did not hold, and how to see it again. Answers whether all of it was tried, and held. */
export async function holds<T>(
  t: Test,
  property: fc.IAsyncProperty<T>,
  parameters: fc.Parameters<T>,
): Promise<boolean> {
  const replay = seed ? { seed: Number(seed), ...(isReplay ? { path: path.join(':'), endOnFailure: true } : {}) } : {};
  const found = await fc.check(property, { ...parameters, ...replay });
  const { failed, counterexample, counterexamplePath, errorInstance } = found;
  const again = `WEAVE_SEED=${found.seed}${counterexamplePath ? `:${counterexamplePath}` : ''}`;
  const error = errorInstance instanceof Error ? errorInstance.stack : errorInstance;
  if (failed) t.fail(`to see it again: ${again}`, { error, script: JSON.stringify(counterexample) });
  else t.pass(again);
  return !failed && !isReplay;
}
