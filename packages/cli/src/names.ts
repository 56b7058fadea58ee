import type { AskerRecord, NameRecord, Names } from '@weave/dns';
import { inBackground, type Log, type NameEntry, type Network, type Weave, type WeaveEvent } from '@weave/sdk';

/**
 * Keeps a name server at what Weave knows, from when it returns until `signal` aborts: an event costs what it is about,
 * and a host that is heard of, or not any more, everything.
 */
export async function feedNames(
  weave: Weave,
  served: Pick<Names, 'update' | 'replace'>,
  log: Log,
  signal: AbortSignal,
): Promise<{ ended: Promise<void> }> {
  const events = weave.events();
  signal.addEventListener('abort', () => void events.return?.());
  const { peer } = await weave.status();
  /** By endpoint, or by name that was given: what the server was told. */
  const told = new Map<string, { names: string[]; askers: string[]; with: string[] }>();

  const recordOf = ({ id, name, network, addresses, peer: whose, services }: NameEntry): NameRecord => ({
    ...{ id, name, addresses, local: whose === peer.id },
    ...(network ? { network } : {}),
    ...(services ? { ports: [...services] } : {}),
  });

  async function everything(): Promise<void> {
    told.clear();
    const names = await weave.names.list();
    for (const { id, network } of names)
      toldOf(network === undefined ? id : id.slice(0, id.indexOf('/'))).names.push(id);
    const askers: AskerRecord[] = [];
    for (const { id } of await weave.endpoints.list())
      if (!told.get(id)?.askers.length) askers.push(...(await askersAt(id)));
    served.replace({ networks: (await weave.networks.list()).map(networkOf), names: names.map(recordOf), askers });
  }

  const toldOf = (id: string) => told.get(id) ?? told.set(id, NOTHING()).get(id)!;

  /** Those in the sandbox of an endpoint: each of its addresses reaches the networks of all. */
  async function askersAt(id: string): Promise<AskerRecord[]> {
    const all = await weave.endpoints.list({ with: id });
    const networks = [...new Set(all.map(({ network }) => network))].sort();
    return all.flatMap((each) => {
      const addresses = each.addresses.map((text) => text.slice(0, text.indexOf('/')));
      Object.assign(toldOf(each.id), { askers: addresses, with: all.map((other) => other.id) });
      return addresses.map((address) => ({ address, networks }));
    });
  }

  async function one(id: string): Promise<void> {
    const before = told.get(id) ?? NOTHING();
    const around = [...new Set([id, ...before.with])];
    const gone = { names: before.names, askers: around.flatMap((each) => told.get(each)?.askers ?? []) };
    for (const each of around) Object.assign(toldOf(each), { askers: [], with: [] });
    const names = await weave.names.list({ of: id });
    const askers: AskerRecord[] = [];
    for (const each of around) if (toldOf(each).askers.length === 0) askers.push(...(await askersAt(each)));
    toldOf(id).names = names.map((each) => each.id);
    for (const each of around) if (isNothing(toldOf(each))) told.delete(each);
    served.update({ gone, names: names.map(recordOf), askers });
  }

  async function handle({ type, action, id }: WeaveEvent): Promise<void> {
    if (type === 'peer') return everything();
    if (type !== 'network') return one(id);
    if (action === 'removed') return served.update({ gone: { networks: [id] } });
    served.update({ networks: [networkOf(await weave.networks.inspect(id))] });
  }

  await everything();
  const ended = inBackground(log, 'names are not followed any more', async () => {
    for await (const event of events) await inBackground(log, 'a name could not be told', () => handle(event));
  });
  return { ended };
}

const NOTHING = () => ({ names: [] as string[], askers: [] as string[], with: [] as string[] });
const isNothing = (known: ReturnType<typeof NOTHING>) => known.names.length === 0 && known.askers.length === 0;

const networkOf = ({ id, subnets }: Network) => ({ id, subnets: subnets.map(({ cidr }) => cidr) });
