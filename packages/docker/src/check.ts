import { type Difference, fixedOf, lasting, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { holdings, snapshot } from './snapshot.ts';

/** An engine that starts does not answer; nobody waits for it longer. */
const PATIENCE_MS = 10_000;

/** `weave`, whose check compares with the engine too. */
export function checkedWithEngine(weave: Weave, docker: Docker): Weave {
  return {
    ...weave,
    async check(options) {
      const ours = await weave.check(options);
      const answers = await docker.ping().then(
        () => true,
        () => false,
      );
      if (!answers) return ours;
      const { ids, grants } = await holdings(weave);
      const view = () => snapshot(weave, docker, [...ids, ...grants], AbortSignal.timeout(PATIENCE_MS));
      const differences = (): Promise<Difference[]> => lasting(async () => weave.engine.compare(await view()));
      let theirs = await differences();
      if (options?.fix && theirs.length > 0) {
        await weave.engine.report(await view());
        theirs = fixedOf(theirs, await differences());
      }
      return { compared: [...ours.compared, 'engine'], differences: [...ours.differences, ...theirs] };
    },
  };
}
