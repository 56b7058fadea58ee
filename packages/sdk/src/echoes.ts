import type { Applied, Datapath, Op } from '@weave/core';

/** So soon after an operation it is heard what it did. */
const ECHO_MS = 1000;

/**
 * A verb's operations, and the links with the entries of a whole network that they make, or take some from: who hears of
 * that need not look, as it would be looking at all of them. What others take meanwhile is found by the next full pass.
 */
export function withEchoes(datapath: Datapath) {
  const until = new Map<string, number>();
  return {
    isEcho: (link: string): boolean => (until.get(link) ?? 0) > performance.now(),
    async apply(batches: readonly (readonly Op[])[]): Promise<Applied[]> {
      if (batches.every((ops) => ops.length === 0)) return [];
      const links = new Set(batches.flat().flatMap(sounding));
      for (const link of links) until.set(link, Number.POSITIVE_INFINITY);
      const applied = await datapath.apply(batches);
      for (const link of links) until.set(link, performance.now() + ECHO_MS);
      return applied;
    },
  };
}

function sounding(op: Op): string[] {
  if (op.op === 'addBridge' || op.op === 'addVxlan') return [op.name];
  return op.op === 'deleteFdb' || op.op === 'deleteNeighbour' ? [op.link] : [];
}
