/** All that needs the engine's API: loaded by the commands that do. */
import { connect, type Weave } from '@weave/sdk/client';
import { ensureImage, removeImages } from '../image/load.ts';
import { runningDaemon } from './container.ts';
import { dialDaemon } from './dial.ts';
import { openEngine } from './engine.ts';

export { launchContainer } from './launch.ts';
export { isStopped, removeContainer, runOnce, stopContainer } from './stop.ts';

/** Weave in the daemon's container, by the engine's API alone. */
export async function connectThroughEngine(): Promise<Weave> {
  const docker = await openEngine();
  const daemon = await runningDaemon(docker);
  return connect({ dial: () => dialDaemon(docker, daemon), check: false });
}

export const setUp = async (): Promise<string> => ensureImage(await openEngine());

export const cleanUp = async (): Promise<void> => removeImages(await openEngine());
