import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log, Weave } from '@weave/sdk';
import type { Test } from 'tap';
import { followEngine } from '../src/index.ts';
import { FakeEngine } from './fake-engine.ts';
import { ID, type Rig } from './rig.ts';

export const container = (n: number) => n.toString(16).padStart(64, 'c');

export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await delay(10);
  }
  throw new Error(`it did not come to pass in 5 s: ${what}`);
}

/** An engine, and somebody that follows it until the end of the test. */
export async function following(
  t: Test,
  rig: Rig,
  weave: Weave,
  prepare: (engine: FakeEngine) => void = () => undefined,
) {
  const engine = await new FakeEngine(join(rig.dir, `docker-${t.name.replace(/\W+/g, '-')}.sock`)).start();
  prepare(engine);
  const logged: string[] = [];
  const log: Log = (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  const stop = new AbortController();
  const done = followEngine(weave, engine.docker, log, stop.signal);
  t.teardown(async () => {
    stop.abort();
    await done;
    await engine.stop();
  });
  return { engine, logged, stop, done };
}

export const happened = (Action: string, id: string, name = '') => ({
  Type: 'container',
  Action,
  Actor: { ID: id, Attributes: { image: 'bb', name } },
  scope: 'local',
});

export const seen = (n: number, IPv4Address: string) => ({
  Name: `c${n}`,
  EndpointID: ID.endpoint(n),
  MacAddress: '02:42:ac:11:00:02',
  IPv4Address,
  IPv6Address: '',
});
