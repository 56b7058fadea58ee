import { type Change, dnsAddressFor, dnsHeir, type Endpoint, hostRoute, type Op, withoutDns } from '@weave/core';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';

/*
   A container on several networks has its route to the DNS over one of its interfaces. In a sandbox of an engine that
   is the first one's, set by the engine; from then on it is ours to see to.
*/

/** Before an endpoint leaves: another one of its sandbox gets the route. */
export async function passOnDns(host: Host, leaving: string): Promise<void> {
  const endpoint = host.state.endpoints.get(leaving);
  const heir = endpoint && dnsHeir(host.state, endpoint);
  if (heir) await lead(host, heir, endpoint);
}

/** What an engine started before there was a DNS gets its route. */
export async function leadToDns(host: Host): Promise<void> {
  for (const endpoint of withoutDns(host.state)) await lead(host, endpoint);
}

/** What cannot be done is left: the container may be about to go. */
const lead = (host: Host, heir: Endpoint, leaving?: Endpoint): Promise<void> =>
  inBackground(host.log, 'a container has no way to the DNS', async () => {
    const { datapath } = host;
    const netns = placeOf(heir);
    const [seen] = await datapath.observe([{ netns }]);
    const linkOf = (e: Endpoint) => seen?.links.find(({ mac, kind }) => mac === e.mac && kind === 'veth')?.name;
    const [from, to] = [leaving && linkOf(leaving), linkOf(heir)];
    if (!to) return;
    const destination = hostRoute(dnsAddressFor(host.state, heir)!);
    const ops: Op[] = [
      ...(from ? [{ op: 'deleteRoute', netns, link: from, destination } as const] : []),
      { op: 'addRoute', netns, link: to, destination, ifAbsent: true },
    ];
    const [applied] = await datapath.apply([ops]);
    if (applied?.failed) throw new Error(applied.failed.message);
    host.commit(leads(host, heir));
  });

const placeOf = ({ sandbox }: Endpoint): string =>
  sandbox?.kind === 'netns' ? sandbox.path : sandbox?.kind === 'engine' ? sandbox.key : '';

/** Of an attachment that is so anyway. */
function leads({ state }: Host, { id }: Endpoint): Change[] {
  const current = state.endpoints.get(id);
  if (current?.sandbox?.kind !== 'engine' || current.sandbox.dns) return [];
  return [{ table: 'endpoint', id, record: { ...current, sandbox: { ...current.sandbox, dns: true } } }];
}
