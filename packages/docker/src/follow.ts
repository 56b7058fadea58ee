import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { inBackground, type Log, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { PLUGIN_NAMES } from './plugin.ts';
import { containerOf, type Inspect, inspector, snapshot } from './snapshot.ts';

const RETRY_MS = 1000;

interface EngineEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
}

/**
 * Follows the engine until `signal` aborts, and ends when nothing of it is under way: tells Weave everything once at
 * each connection, then what happens. Driver calls never wait for this, as the engine's API does not answer while it
 * waits for them.
 */
export async function followEngine(weave: Weave, docker: Docker, toLog: Log, signal: AbortSignal): Promise<void> {
  // What breaks off then is no news.
  const log: Log = (...said) => signal.aborted || toLog(...said);
  while (!signal.aborted) {
    try {
      await followOnce(weave, docker, log, signal);
    } catch (error) {
      log('debug', 'the engine does not answer', { error: error instanceof Error ? error.message : String(error) });
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function followOnce(weave: Weave, docker: Docker, log: Log, signal: AbortSignal): Promise<void> {
  // Listening first: what happens while the listing is made is in neither otherwise.
  const stream = await docker.getEvents({ filters: { type: ['container', 'network'] }, abortSignal: signal });
  const lines = createInterface({ input: stream });
  const events = lines[Symbol.asyncIterator]();
  const inspect = inspector(docker, signal);
  try {
    log('info', 'following the engine');
    await inBackground(log, 'the engine could not be reported', async () =>
      weave.engine.report(await snapshot(weave, docker, signal)),
    );
    for (let next = await events.next(); !next.done && !signal.aborted; next = await events.next()) {
      const event = JSON.parse(next.value) as EngineEvent;
      await inBackground(log, 'an engine event could not be followed', () => handle(weave, inspect, event));
    }
  } finally {
    (stream as Readable).destroy();
  }
}

async function handle(weave: Weave, inspect: Inspect, { Type, Action, Actor }: EngineEvent): Promise<void> {
  const { ID, Attributes } = Actor;
  if (Type === 'container' && Action === 'destroy') await weave.engine.removed(ID);
  if (Type === 'container' && (Action === 'start' || Action === 'rename')) await tell(weave, inspect, ID);
  if (Type !== 'network' || !isOurs(Attributes.type)) return;
  // Its driver call may have failed: for the engine the network is gone all the same.
  if (Action === 'destroy') await weave.networks.forget(ID);
  if (Action === 'create') await weave.engine.named(ID, Attributes.name ?? ID.slice(0, 12));
  if (Action === 'connect' && Attributes.container) await tell(weave, inspect, Attributes.container);
}

const isOurs = (driver: string | undefined) => PLUGIN_NAMES.some((name) => name === driver);

async function tell(weave: Weave, inspect: Inspect, id: string): Promise<void> {
  const container = await containerOf(inspect, id);
  if (container) await weave.engine.started(container);
}
