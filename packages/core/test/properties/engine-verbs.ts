import {
  adoptNetwork,
  cidr,
  createEndpoint,
  deleteEndpoint,
  forgetNetwork,
  HOST,
  handoverName,
  isWeaveError,
  joinEndpoint,
  leaveEndpoint,
  nameEndpoint,
  nameNetwork,
  publishPorts,
  releaseAddress,
  releasePool,
  requestAddress,
  requestPool,
} from '@weave/core';
import { hex } from '../given.ts';
import { leaseOf, plain } from './engine.ts';
import { isRight } from './invariants.ts';
import { AVOID, endpoints, GATEWAYS, NAMES, networks, REQUESTS, SUBNETS } from './own.ts';
import { rise } from './pass.ts';
import { Crash, of, PATHS, type Playground, type Verb } from './playground.ts';

/** A driver call. Where the daemon dies meanwhile, an engine that is patient makes it again. */
async function ask<T>(w: Playground, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Crash && w.doom?.patient)) throw error;
    await rise(w);
    return work();
  }
}

/** As {@link ask}, of what may not be refused when it is asked again: what it takes is no longer there for others. */
const call = (w: Playground, work: () => Promise<void>): Promise<void> => {
  let calls = 0;
  return ask(w, async () => {
    calls++;
    try {
      await work();
    } catch (error) {
      if (calls > 1 && isWeaveError(error)) throw new Error(`called again, it is refused: ${error.message}`);
      throw error;
    }
  });
};

/** What an engine ends is over for it, also when nobody answers; but not when it is refused. */
async function end(w: Playground, id: string, over: () => void, work: () => Promise<void>): Promise<void> {
  w.engine.ending.add(id);
  try {
    await work();
    over();
  } catch (error) {
    if (error instanceof Crash) over();
    throw error;
  } finally {
    w.engine.ending.delete(id);
  }
}

/** An address of a pool for the engine, which gives it back when `use` is refused. */
async function withAddress(
  w: Playground,
  pool: string,
  wanted: string | undefined,
  use: (text: string) => Promise<void>,
) {
  const { cidr: text } = await ask(w, async () => {
    const given = requestAddress(w.state, pool, wanted);
    await w.verb(given.changes);
    return given;
  });
  const lease = leaseOf(pool, text);
  if (w.engine.leases.has(lease)) throw new Error(`the engine was given ${lease} twice`);
  w.engine.leases.add(lease);
  try {
    await use(text);
  } catch (error) {
    w.engine.leases.delete(lease);
    if (!(error instanceof Crash)) await w.verb(releaseAddress(w.state, pool, plain(text)));
    throw error;
  }
}

/** The engine's endpoints, each with its network. */
const known = (w: Playground) =>
  [...w.engine.networks.values()].flatMap((network) =>
    [...network.endpoints.values()].map((seen) => ({ network, seen, id: seen.id })),
  );

/** What an engine asks of Weave. */
export const engineVerbs = {
  /** As an engine does it: a pool, a gateway, the network. */
  async adopt(w, { a, b, c }) {
    const wanted = of(SUBNETS, b);
    const family = a % 3 ? cidr(wanted).family : 4;
    const id = `docker${hex(++w.serial).slice(6)}`;
    const adopt = async (pool?: { id: string; cidr: string }, gateway?: string) => {
      const subnet = { cidr: pool?.cidr ?? wanted, ours: pool !== undefined };
      const spec = { id, options: { 'works.weave.gateway': of(GATEWAYS, a) }, internal: false };
      const [name, told] = [of(NAMES, a), c % 8 > 3 ? gateway : undefined];
      const asked = { ...spec, name: c % 3 ? undefined : name, subnets: [{ ...subnet, gateway }] };
      await ask(w, () => w.verb(adoptNetwork(w.state, asked), { networks: [id] }));
      const seen = { ...spec, name, subnets: [{ ...subnet, gateway: told }], reserved: told ? [plain(told)] : [] };
      w.engine.networks.set(id, { ...seen, endpoints: new Map(), ...(pool ? { pool: pool.id } : {}) });
    };
    if (c % 4 === 0) return adopt();
    const { pool } = await ask(w, async () => {
      const asked = { family, ...(a % 3 ? { cidr: wanted } : {}), now: w.now, avoid: AVOID };
      const given = requestPool(w.state, asked);
      await w.verb(given.changes);
      return given;
    });
    try {
      await (c % 2 ? withAddress(w, pool.id, undefined, (gateway) => adopt(pool, gateway)) : adopt(pool));
    } catch (error) {
      if (!(error instanceof Crash)) await w.verb(releasePool(w.state, pool.id));
      throw error;
    }
  },
  /** Once: engines do not rename. */
  async name(w, { a }) {
    const unnamed = networks(w).filter((n) => n.owner === 'docker' && n.id.startsWith(n.name));
    const network = of(unnamed, a);
    const { name } = w.engine.networks.get(network.id)!;
    await w.verb(nameNetwork(w.state, network.id, name!), { networks: [network.id] });
  },
  async forget(w, { a }) {
    const network = of([...w.engine.networks.values()], a);
    const { id, pool } = network;
    const endpoints = w.state.endpointsOf(id).map((e) => e.id);
    const over = () => w.engine.forgetNetwork(network);
    await end(w, id, over, async () => {
      await call(w, () => w.verb(forgetNetwork(w.state, id), { networks: [id], endpoints }));
      if (pool) await call(w, () => w.verb(releasePool(w.state, pool)));
    });
  },
  async endpoint(w, { a, b }) {
    const network = of(
      [...w.engine.networks.values()].filter((n) => n.pool),
      a,
    );
    const wanted = b % 3 ? undefined : of(REQUESTS, b).replace(/^\w+:|\/.*/g, '');
    await withAddress(w, network.pool!, wanted, async (address) => {
      const id = hex(++w.serial);
      await call(w, async () => {
        const { changes } = createEndpoint(w.state, { id, network: network.id, addresses: [address] });
        await w.verb(changes);
      });
      const { mac } = w.state.endpoint(id);
      network.endpoints.set(id, { id, addresses: [address], mac, container: container(b) });
    });
  },
  async join(w, { a, b }) {
    const unjoined = known(w).filter(({ id }) => !w.state.endpoints.get(id)?.sandbox);
    const { id, seen, network } = of(unjoined, a);
    const sandbox = of(PATHS, b);
    await call(w, () => w.verb(joinEndpoint(w.state, id, sandbox).changes, { endpoints: [id] }));
    network.endpoints.set(id, { ...seen, sandbox });
    await isRight(w, w.state.endpoint(id));
    // The engine takes it, or has not come to it yet.
    if (b % 5 && w.kernel.netnsId(sandbox)) w.kernel.moveLink(HOST, handoverName(id), sandbox, `weng${w.serial++}`);
  },
  async publish(w, { a, b }) {
    const endpoint = of(
      endpoints(w, 'docker').filter((e) => e.sandbox),
      a,
    );
    const changes = publishPorts(w.state, endpoint.id, [{ protocol: 'tcp', hostPort: 8000 + (b % 3), port: 80 }]);
    await w.verb(changes);
  },
  async leave(w, { a }) {
    const { id, network, seen } = of(known(w), a);
    try {
      await call(w, () => w.verb(leaveEndpoint(w.state, id), { endpoints: [id] }));
    } catch (error) {
      // It goes on to end it, and is not answered either.
      if (error instanceof Crash) w.engine.forgetEndpoint(network, id);
      throw error;
    }
    const { sandbox: _, ...left } = seen;
    network.endpoints.set(id, left);
  },
  async delete(w, { a }) {
    const { id, network, seen } = of(known(w), a);
    const pool = network.pool!;
    const over = () => w.engine.forgetEndpoint(network, id);
    await end(w, id, over, async () => {
      await call(w, () => w.verb(deleteEndpoint(w.state, id), { endpoints: [id] }));
      for (const text of seen.addresses) await call(w, () => w.verb(releaseAddress(w.state, pool, plain(text))));
    });
  },
  async called(w, { a, b }) {
    const { id, network, seen } = of(known(w), a);
    network.endpoints.set(id, { ...seen, container: container(b) });
    await w.verb(nameEndpoint(w.state, id, container(b)));
  },
} satisfies Record<string, Verb>;

const container = (n: number) => ({ id: hex(0xc0 + (n % 4)), name: `c${n % 4}` });
