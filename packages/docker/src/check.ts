import { type Difference, fixedOf, lasting, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { holdings, snapshot } from './snapshot.ts';

/** An engine that starts does not answer; nobody waits for it longer. */
const PATIENCE_MS = 10_000;

/** `weave`, whose check compares with the engine too, where there is one. */
export function checkedWithEngine(weave: Weave, docker: Docker): Weave {
  return {
    ...weave,
    async check(options) {
      const ours = await weave.check(options);
      try {
        const theirs = await differences(weave, docker, options?.fix);
        return { compared: [...ours.compared, 'engine'], differences: [...ours.differences, ...theirs] };
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (code === 'ENOENT' || code === 'ECONNREFUSED') return ours;
        const what = `the engine could not be asked: ${message}`;
        return { ...ours, differences: [...ours.differences, { where: 'engine', what }] };
      }
    },
  };
}

async function differences(weave: Weave, docker: Docker, fix = false): Promise<Difference[]> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  // Not what was given to the engine: it may be about to use it.
  const { ids } = await holdings(weave);
  const view = () => snapshot(weave, docker, ids, signal);
  const compared = () => lasting(async () => weave.engine.compare(await view()));
  const found = await compared();
  if (!fix || found.length === 0) return found;
  await weave.engine.report(await view());
  return fixedOf(found, await compared());
}
