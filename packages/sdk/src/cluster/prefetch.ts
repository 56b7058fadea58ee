import type { Change } from '@weave/core';
import { cellOf, hasRoomFor, sizeOf } from '@weave/core';
import { inBackground } from '../log.ts';
import { takeAnother } from './blocks.ts';
import type { Context } from './context.ts';

/** Verbs come in bursts; one look is enough for them. */
const LOOK_MS = 500;
/** Of a cell: with less left than that, another one is taken. */
const LOW = 4;

/** Takes addresses ahead while the directory answers, so that containers start while it does not. */
export function createPrefetch(context: Context) {
  const { host, timers } = context;
  const { state } = host;
  const used = new Set<string>();
  let cancel: (() => void) | undefined;

  const poolsOf = (change: Change): string[] => {
    if (change.table === 'lease' && change.record) return change.record.peer ? [] : [change.record.pool];
    if (change.table !== 'endpoint' || change.record?.peer !== state.self) return [];
    return state.networks.get(change.record.network)?.subnets.flatMap(({ pool }) => pool ?? []) ?? [];
  };

  function note(changes: readonly Change[]): void {
    for (const change of changes) for (const pool of poolsOf(change)) used.add(pool);
    if (used.size > 0) cancel ??= timers.after(LOOK_MS, () => void look());
  }

  async function look(): Promise<void> {
    cancel = undefined;
    const pools = [...used];
    used.clear();
    for (const pool of pools)
      if (isLow(pool) && context.fence > 0)
        await inBackground(host.log, 'no addresses could be taken ahead', () => takeAnother(context, pool));
  }

  /** A pool of which this host has nothing yet is one that it only knows the gateway of. */
  function isLow(pool: string): boolean {
    if (!state.pools.has(pool)) return false;
    const index = state.poolIndex(pool);
    const cell = Math.max(0, ...index.cells.map((each) => Number(sizeOf(cellOf(index, each)))));
    return cell >= LOW && !hasRoomFor(state, pool, cell / LOW);
  }

  return { note, end: () => cancel?.() };
}
