import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_NETWORK, inBackground, NETWORK_OPTION, type Network } from '@weave/sdk';
import type Docker from 'dockerode';
import type { Connection } from './catch-up.ts';
import { PLUGIN_NAMES } from './plugin.ts';

/** News come in bursts, and an engine that was just told to remove a network still lists it. */
const SETTLE_MS = 100;
const RETRY_MS = 1000;

export interface Mirror {
  /** Looks again, soon. */
  look(): void;
  end(): Promise<void>;
}

/** Keeps the networks that hosts share known to this host's engine: made on one, they are there to be used on all. */
export function mirrorNetworks(connection: Connection): Mirror {
  const { weave, log, signal } = connection;
  const events = weave.events();
  const seen: Seen = { told: new Set(), shared: new Set() };
  let wanted = false;
  let running: Promise<void> | undefined;

  function look(): void {
    wanted = true;
    running ??= run().finally(() => {
      running = undefined;
    });
  }

  async function run(): Promise<void> {
    while (wanted && !signal.aborted) {
      wanted = false;
      await delay(SETTLE_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || (await agree(connection, seen))) continue;
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      wanted = true;
    }
  }

  const listening = inBackground(log, 'networks could not be followed', async () => {
    for await (const { type } of events) if (type === 'network') look();
  });
  look();
  return {
    look,
    async end() {
      await events.return?.();
      await Promise.all([listening, running]);
    },
  };
}

interface Seen {
  /** What was complained of already. */
  readonly told: Set<string>;
  /** Ids of networks that are or were shared. */
  readonly shared: Set<string>;
}

/** Whether all is as it should be, as far as that can be. */
async function agree({ weave, docker, log, signal }: Connection, { told, shared: before }: Seen): Promise<boolean> {
  if (!(await weave.status()).cluster?.id) return true;
  let isDone = true;
  const attempt = (what: string, network: string, work: () => Promise<unknown>) =>
    work().catch((error: unknown) => {
      isDone = false;
      const text = error instanceof Error ? error.message : String(error);
      if (!signal.aborted && !told.has(`${network} ${text}`)) log('warn', what, { network, error: text });
      told.add(`${network} ${text}`);
    });
  await attempt('the engine could not be asked for its networks', '', async () => {
    const shared = (await weave.networks.list()).filter(isToBeShared);
    const listed = await docker.listNetworks({ abortSignal: signal });
    const ours = listed.filter(({ Driver }) => PLUGIN_NAMES.some((name) => name === Driver));
    const has = (network: Network) =>
      ours.some((n) => n.Id === network.id || n.Labels?.[NETWORK_OPTION] === network.id);
    for (const network of shared.filter((n) => !has(n)))
      if (listed.some(({ Name }) => Name === network.name)) clash(network.name);
      else
        await attempt('a network could not be made in the engine', network.name, () =>
          docker.createNetwork(engineNetwork(network) as Docker.NetworkCreateOptions),
        );
    const known = new Set(shared.map(({ id }) => id));
    for (const id of known) before.add(id);
    const isGone = (id: string | undefined) => id !== undefined && !known.has(id);
    for (const { Id, Name, Labels } of ours)
      if (isGone(Labels?.[NETWORK_OPTION]) || (before.has(Id) && isGone(Id)))
        await attempt('a network could not be removed from the engine', Name, () => docker.getNetwork(Id).remove());
  });
  return isDone;

  function clash(name: string): void {
    if (!told.has(name))
      log('warn', 'the engine has another network of this name: containers here cannot join the shared one', { name });
    told.add(name);
  }
}

/** One that an engine made has a name once its engine has told it. */
const isToBeShared = ({ id, name, owner }: Network): boolean =>
  name !== DEFAULT_NETWORK && (owner === 'weave' || !id.startsWith(name));

/** The same network, as this engine is to make it. */
export function engineNetwork({ id, name, subnets, internal, mtu, autoMtu, multicast, gateway }: Network) {
  return {
    Name: name,
    CheckDuplicate: true,
    Driver: PLUGIN_NAMES[0],
    Internal: internal,
    EnableIPv6: subnets.some((s) => s.cidr.includes(':')),
    IPAM: {
      Driver: subnets.some((s) => s.pool) ? PLUGIN_NAMES[0] : 'default',
      ...(subnets.some((s) => s.pool) ? { Options: { [NETWORK_OPTION]: id } } : {}),
      Config: subnets.map((s) => ({ Subnet: s.cidr, ...(s.gateway ? { Gateway: s.gateway } : {}) })),
    },
    Options: {
      [NETWORK_OPTION]: id,
      ...(autoMtu ? {} : { mtu: String(mtu) }),
      'works.weave.multicast': String(multicast),
      'works.weave.gateway': gateway,
    },
    Labels: { [NETWORK_OPTION]: id },
  };
}
