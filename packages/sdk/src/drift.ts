import type { Changed } from '@weave/core';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';

/** Our own verbs are heard too: while they come one after the other they have the kernel to themselves, but not for ever. */
const SETTLE_MS = 250;
const PATIENCE_MS = 1500;
/** So many links are looked at before verbs have their turn again. */
const AT_ONCE = 32;

/** Mends what others break, soon after it is told; only what it is about. Answers how to end that. */
export function mendDrift({ reconciler, datapath, isEcho, log }: Host): () => void {
  let links = new Set<string>();
  let filters = new Set<string>();
  let lost = false;
  let since: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let working = false;
  let ended = false;

  function hear(changed: Changed): void {
    if (ended) return;
    for (const link of changed.links) if (!isEcho(link)) links.add(link);
    for (const netns of changed.filters) filters.add(netns);
    lost ||= changed.lost;
    since ??= performance.now();
    if (working) return;
    if (timer && performance.now() - since < PATIENCE_MS - SETTLE_MS) timer.refresh();
    timer ??= setTimeout(() => void work(), SETTLE_MS).unref();
  }

  async function work(): Promise<void> {
    timer = undefined;
    since = undefined;
    working = true;
    await look();
    working = false;
    if (links.size > 0 || lost || filters.size > 0) hear({ links: [], filters: [], lost: false });
  }

  /** What cannot be looked at keeps nothing else from it. */
  async function look(): Promise<void> {
    const [some, changed, all] = [[...links], filters, lost];
    links = new Set();
    filters = new Set();
    lost = false;
    const tried = (task: () => Promise<unknown>) => inBackground(log, 'a change could not be looked at', task);
    if (all) await tried(reconciler.pass);
    else for (let i = 0; i < some.length; i += AT_ONCE) await tried(() => reconciler.mend(some.slice(i, i + AT_ONCE)));
    for (const where of ['host', 'switch'] as const)
      if (changed.has(where)) await tried(() => reconciler.mendFilter(where));
  }

  datapath.watch(hear);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
