import type { Measure } from '../measure.ts';
import { attach } from './attach.ts';
import { burst } from './burst.ts';
import { cli } from './cli.ts';
import { crowd } from './crowd.ts';
import { daemon } from './daemon.ts';
import { detach } from './detach.ts';
import { dns } from './dns.ts';
import { engine } from './engine.ts';
import { flow } from './flow.ts';
import { overlay } from './overlay.ts';
import { plugin } from './plugin.ts';
import { reach } from './reach.ts';
import { remote } from './remote.ts';
import { scale } from './scale.ts';
import { soak } from './soak.ts';

/**
 * What can be measured by itself. Each runs in a process, network namespace and /run of its own, with a directory on
 * disk for what has to be durable.
 */
export const parts: Record<string, (dir: string) => Promise<Omit<Measure, 'part'>[]>> = {
  attach,
  detach,
  burst,
  scale,
  plugin,
  engine,
  daemon,
  dns,
  cli,
  overlay,
  remote,
  crowd,
  reach,
  soak,
  flow,
};

/** Those that take so long that only who asks for them gets them. */
export const LONG: ReadonlySet<string> = new Set(['soak', 'flow', 'crowd', 'reach']);
