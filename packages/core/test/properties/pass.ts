import { desired, GATEWAY_PREFIX, HOST, isWeaveError, type Op, requestAddress, type State, SWITCH } from '@weave/core';
import { report } from './engine.ts';
import { judge } from './judge.ts';
import { Crash, type Playground, same } from './playground.ts';

/** The link, or the sysctl, that an operation is about. */
export const placeOf = (op: Op): string => `${op.netns} ${'name' in op ? op.name : 'link' in op ? op.link : op.key}`;

/** A full pass leaves nothing to do, except where a stranger has the name that is wanted. */
export async function pass(w: Playground): Promise<void> {
  w.phase = 'a full pass';
  // It goes wrong somewhere, and the next one goes on from there.
  if (w.refusal) await w.reconcile();
  w.refusal = undefined;
  const held = new Map<string, { netns: string; name: string }>();
  for (const { key, ops, failed } of await w.reconcile()) {
    for (const op of ops) namesOnlyOurs(w, op, ops);
    if (!failed) continue;
    const { code, netns = '', link: name = '' } = failed;
    if (code !== 'EEXIST' || !w.strangers.has(`${netns} ${name}`)) throw new Error(`${code} ${name} in ${netns}`);
    held.set(key, { netns, name });
  }
  const units = desired(w.state);
  const left = (await w.plan(units)).filter((batch) => !held.has(batch.key));
  if (left.length > 0) throw new Error(`there is still something to do: ${JSON.stringify(left)}`);
  await judge(w, units, held);
}

function namesOnlyOurs(w: Playground, op: Op, batch: readonly Op[]): void {
  const at = placeOf(op);
  // Where a stranger has the name, the pair cannot be made, and nothing after it in its batch is done.
  const first = batch.find((each) => each.op === 'addVeth' && `${each.peer.netns} ${each.peer.name}` === at);
  const isHeldUp = first !== undefined && batch.indexOf(first) < batch.indexOf(op);
  if (w.strangers.has(at) && !isHeldUp) throw new Error(`the plan names a stranger: ${JSON.stringify(op)}`);
  if (op.netns === SWITCH) return;
  if (op.netns === HOST) {
    if (!at.includes(GATEWAY_PREFIX)) throw new Error(`not ours in the host: ${JSON.stringify(op)}`);
    return;
  }
  const interfaces = [...w.state.endpoints.values()].flatMap(({ sandbox }) =>
    sandbox?.kind === 'netns' && sandbox.path === op.netns ? [sandbox.interface] : [],
  );
  if (!interfaces.some((name) => at.includes(name))) throw new Error(`not ours in a sandbox: ${JSON.stringify(op)}`);
}

/** The daemon starts again: its records, the kernel as it is, and what the engine says. */
export async function rise(w: Playground): Promise<void> {
  for (;;)
    try {
      const { again } = w.doom ?? {};
      w.doom = again === undefined ? undefined : { left: again, patient: false };
      const written = textOf(w.state);
      w.start();
      same(textOf(w.state), written, 'what was written is what is read');
      await pass(w);
      if (report(w)) await pass(w);
      return;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
}

/** Every record, and what each pool gives next. */
function textOf(state: State): string {
  const records = state.records().map((change) => JSON.stringify(change));
  const next = [...state.pools.keys()].map((pool) => `${pool} gives ${nextOf(state, pool)}`);
  return [...records, ...next].sort().join('\n');
}

function nextOf(state: State, pool: string): string {
  try {
    return requestAddress(state, pool).cidr;
  } catch (error) {
    if (isWeaveError(error)) return error.code;
    throw error;
  }
}
