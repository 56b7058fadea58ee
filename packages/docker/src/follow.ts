import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { inBackground, type Log, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { type Connection, catchUp, firstLook } from './catch-up.ts';
import { type Mirror, mirrorNetworks } from './mirror.ts';
import { PLUGIN_NAMES } from './plugin.ts';
import { containerOf, holdings, type Inspect, inspector } from './snapshot.ts';

/** Where there is no engine, looking for one is all that an idle daemon does: asking for one takes 0.7 ms. */
const RETRY_MS = 1000;
/** Listing everything is more than that. */
const HELD_MS = 8000;
/** The engine says that a container is connected while it starts it; looking then would take its time. */
const STARTING_MS = 200;

interface EngineEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
}

/**
 * Follows the engine until `signal` aborts, and ends when nothing of it is under way: tells Weave everything at each
 * connection, then what happens. Driver calls never wait for this, as the engine's API does not answer while it waits
 * for them.
 */
export async function followEngine(weave: Weave, docker: Docker, toLog: Log, signal: AbortSignal): Promise<void> {
  // What breaks off then is no news.
  const log: Log = (...said) => signal.aborted || toLog(...said);
  let held = await holdings(weave);
  let heldAt = performance.now();
  while (!signal.aborted) {
    try {
      if (await mayAnswer(docker)) await followOnce({ weave, docker, log, signal, held });
    } catch (error) {
      log('debug', 'the engine does not answer', { error: error instanceof Error ? error.message : String(error) });
    }
    // What was made just before may not be in the engine's store yet; it is when it is next connected to.
    if (performance.now() - heldAt > HELD_MS) {
      held = await holdings(weave);
      heldAt = performance.now();
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Unless its socket is not there. */
async function mayAnswer({ modem }: Docker): Promise<boolean> {
  const path = await (modem as typeof modem & { getSocketPath(): Promise<string> | undefined }).getSocketPath();
  return path === undefined || existsSync(path);
}

async function followOnce(followed: Connection): Promise<void> {
  const { weave, docker } = followed;
  // Listening first: what happens while the listing is made is in neither otherwise.
  const stream = await docker.getEvents({
    filters: { type: ['container', 'network'] },
    abortSignal: followed.signal,
  });
  const lines = createInterface({ input: stream });
  const events = lines[Symbol.asyncIterator]();
  const ended = new AbortController();
  const signal = AbortSignal.any([followed.signal, ended.signal]);
  const log: Log = (...said) => signal.aborted || followed.log(...said);
  const inspect = inspector(docker, signal);
  const names = learner((id) =>
    inBackground(log, 'a container could not be looked at', () => tell(weave, inspect, id)),
  );
  const connection = { ...followed, log, signal };
  let resynced: Promise<void> | undefined;
  let caughtUp: Promise<void> | undefined;
  let mirror: Mirror | undefined;
  try {
    log('info', 'following the engine');
    await firstLook(connection);
    resynced = inBackground(log, 'containers could not be listed', () => resync(weave, names));
    caughtUp = catchUp(connection);
    mirror = mirrorNetworks(connection);
    for (let next = await events.next(); !next.done && !signal.aborted; next = await events.next()) {
      const event = JSON.parse(next.value) as EngineEvent;
      await inBackground(log, 'an engine event could not be followed', () => handle(weave, names, event));
      if (event.Type === 'network' && event.Action === 'destroy') mirror.look();
    }
  } finally {
    (stream as Readable).destroy();
    ended.abort();
    await Promise.all([names.end(), resynced, caughtUp, mirror?.end()]);
  }
}

async function handle(weave: Weave, names: Learner, { Type, Action, Actor }: EngineEvent): Promise<void> {
  const { ID, Attributes } = Actor;
  if (Type === 'container' && Action === 'destroy') await weave.engine.removed(ID);
  if (Type === 'container' && Action === 'die') {
    names.ended(ID);
    await weave.engine.ended(ID);
  }
  if (Type === 'container' && (Action === 'start' || Action === 'rename')) await names.now(ID);
  if (Type !== 'network' || !isOurs(Attributes.type)) return;
  // Its driver call may have failed: for the engine the network is gone all the same.
  if (Action === 'destroy') await weave.networks.forget(ID);
  if (Action === 'create') await weave.engine.named(ID, Attributes.name ?? ID.slice(0, 12));
  if (Action === 'connect' && Attributes.container) names.connected(Attributes.container);
}

const isOurs = (driver: string | undefined) => PLUGIN_NAMES.some((name) => name === driver);

async function tell(weave: Weave, inspect: Inspect, id: string): Promise<void> {
  const container = await containerOf(inspect, id);
  if (container) await weave.engine.started(container);
}

/** So many containers are asked for at a time, where nobody waits. */
const AT_ONCE = 8;

/**
 * How the containers of the engine's own endpoints are called by now. Not of the report, which would wait for each
 * container that is just being started.
 */
async function resync(weave: Weave, names: Learner): Promise<void> {
  const own = (await weave.endpoints.list()).filter(({ owner }) => owner === 'docker');
  const left = [...new Set(own.flatMap(({ container }) => container?.id ?? []))];
  const work = async () => {
    for (let id = left.pop(); id && !names.isOver(); id = left.pop()) await names.now(id);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

interface Learner {
  now(container: string): Promise<void>;
  /** At once where it is known to run; else soon, unless `now` comes first. */
  connected(container: string): void;
  ended(container: string): void;
  isOver(): boolean;
  end(): Promise<void>;
}

function learner(learn: (container: string) => Promise<void>): Learner {
  const waiting = new Map<string, NodeJS.Timeout>();
  const learning = new Set<Promise<void>>();
  const running = new Set<string>();
  let over = false;
  const cancel = (container: string) => {
    clearTimeout(waiting.get(container));
    waiting.delete(container);
  };
  function now(container: string): Promise<void> {
    cancel(container);
    const learned = learn(container).finally(() => learning.delete(learned));
    learning.add(learned);
    return learned;
  }
  return {
    now(container) {
      running.add(container);
      return now(container);
    },
    ended: (container) => void running.delete(container),
    connected(container) {
      if (running.has(container)) return void now(container);
      cancel(container);
      waiting.set(
        container,
        setTimeout(() => void now(container), STARTING_MS),
      );
    },
    isOver: () => over,
    async end() {
      over = true;
      for (const container of waiting.keys()) cancel(container);
      await Promise.all(learning);
    },
  };
}
