import { type ConnectTarget, type Link, OVERLAY, type Status } from '@weave/sdk/client';
import { hostText, ipamState, mainPool, type View } from './view.ts';

type Row = readonly [label: string, value: string | number];

/** As `weave status` of 2.8: scripts look for " Label: value". What is ours comes last. */
export function statusText(view: View): string {
  const blocks = [[versionRow(view.status)], router(view), ipam(view), dns(view), PLUGIN, daemon(view.status)];
  return `\n${blocks
    .filter((rows) => rows.length > 0)
    .map((rows) => `${rows.map(line).join('\n')}\n`)
    .join('\n')}`;
}

const LABEL_WIDTH = 15;
const line = ([label, value]: Row): string => `${label.padStart(LABEL_WIDTH)}: ${value}`;

const versionRow = ({ version }: Status): Row => ['Version', `${version} (version check update disabled)`];

const router = ({ status, peers, links, targets }: View): Row[] => [
  ['Service', 'router'],
  ['Protocol', 'vxlan'],
  ['Name', hostText(status.peer)],
  ['Encryption', 'disabled'],
  ['PeerDiscovery', 'enabled'],
  ['Targets', targets.length],
  ['Connections', counted(links.length, byState(links))],
  ['Peers', counted(peers.length, byState(links.filter(({ peer }) => peer)), 'with ', ' connections')],
  ['TrustedSubnets', 'none'],
];

const counted = (total: number, parts: string, before = '', after = ''): string =>
  parts ? `${total} (${before}${parts}${after})` : String(total);

const STATES: readonly Link['state'][] = ['established', 'pending', 'retrying', 'failed', 'connecting'];

const byState = (links: readonly Link[]): string =>
  STATES.map((state) => [links.filter((link) => link.state === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`)
    .join(', ');

function ipam(view: View): Row[] {
  const pool = mainPool(view);
  if (!pool) return [];
  return [
    ['Service', 'ipam'],
    ['Status', ipamState(view)],
    ['Range', pool.cidr],
    ['DefaultSubnet', pool.cidr],
  ];
}

const dns = ({ status, names }: View): Row[] =>
  status.dns
    ? [
        ['Service', 'dns'],
        ['Domain', `${status.dns.domain}.`],
        ['TTL', 1],
        ['Entries', names.length],
      ]
    : [];

const PLUGIN: Row[] = [
  ['Service', 'plugin (v2)'],
  ['DriverName', 'weave'],
];

const daemon = ({ pid, networks, endpoints, started, cluster, notices }: Status): Row[] => [
  ['Service', 'daemon'],
  ['Pid', pid],
  ['Started', new Date(started).toISOString()],
  ['Networks', networks],
  ['Endpoints', endpoints],
  ...(cluster ? [['Cluster', clusterText(cluster)] as const] : []),
  ...notices.map((notice) => ['Notice', notice] as const),
];

function clusterText({ id, reachable, problem }: NonNullable<Status['cluster']>): string {
  const state =
    problem ?? (reachable ? 'in step' : 'the store does not answer: what is known of other hosts may be old');
  return id ? `${id} (${state})` : `not joined: ${state}`;
}

export const targetsText = (targets: readonly ConnectTarget[]): string =>
  targets.map(({ address }) => address).join('\n');

const HOST_WIDTH = 37;
const ADDRESS_WIDTH = 21;
const STATE_WIDTH = 11;

/** Under this host, its connections; of other hosts theirs are not known here. */
export const peersText = ({ peers, links }: View): string =>
  peers
    .flatMap((peer) => {
      const own = peer.self ? links.flatMap(connectionOfPeer) : [];
      return [`${hostText(peer)}${peer.alive ? '' : ' - unreachable!'}`, ...own];
    })
    .join('\n');

const connectionOfPeer = ({ peer, address, state }: Link): string[] =>
  peer ? [`   -> ${address.padEnd(ADDRESS_WIDTH)} ${hostText(peer).padEnd(HOST_WIDTH)} ${state}`] : [];

export const connectionsText = ({ links }: View): string =>
  links
    .map((link) => `-> ${link.address.padEnd(ADDRESS_WIDTH)} ${link.state.padEnd(STATE_WIDTH)} ${info(link)}`.trimEnd())
    .join('\n');

/** What of a link is neither its address nor its state. */
export function info({ peer, problem, path }: Link): string {
  const host = peer ? [`${OVERLAY} ${hostText(peer)}`] : [];
  if (!path) return [...host, ...(problem ? [problem] : [])].join(' ');
  const { mtu, rttMs, lossRatio, sent, received } = path;
  return [
    ...host,
    ...(problem ? [problem] : []),
    ...(mtu === undefined ? [] : [`mtu=${mtu}`]),
    ...(rttMs === undefined ? [] : [`rtt=${rttMs.toFixed(2)}ms`]),
    `lost=${Math.round(lossRatio * 100)}%`,
    `sent=${sent.bytes}`,
    `received=${received.bytes}`,
  ].join(' ');
}

/** First the subnet that 2.8 has, in its words; then each other under a line that names it. */
export function ipamText(view: View): string {
  const main = mainPool(view);
  const others = view.pools.filter((pool) => pool !== main);
  const parts = others.map((pool) => [`${pool.cidr} of ${pool.network ?? '(being made)'}:`, ...holdings(view, pool)]);
  return [...(main ? [holdings(view, main)] : []), ...parts].map((lines) => lines.join('\n')).join('\n\n');
}

function holdings({ status, peers }: View, { holdings: held, size, active, stale }: View['pools'][number]): string[] {
  const isSelf = ({ peer }: { peer: string }) => peer === status.peer.id;
  const alive = new Set(peers.filter((peer) => peer.alive).map(({ id }) => id));
  const lines = held
    .toSorted((a, b) => Number(isSelf(b)) - Number(isSelf(a)))
    .map((holding) => {
      const { peer: id, name, addresses } = holding;
      const share = ((100 * Number(addresses)) / Number(size)).toFixed(1).padStart(4, '0');
      const note = isSelf(holding) ? ` (${active} active)` : alive.has(id) ? '' : ' - unreachable!';
      return `${hostText({ id, name }).padEnd(HOST_WIDTH)} ${addresses.padStart(8)} IPs (${share}% of total)${note}`;
    });
  return stale ? [...lines, 'of this host only: the store does not answer'] : lines;
}

/** 2.8's word for what has a name by hand, and is no container's. */
export const EXTERN = 'weave:extern';

export const dnsText = ({ status: { dns }, names }: View): string =>
  names
    .toSorted((a, b) => order(a.name, b.name) || order(a.id, b.id))
    .flatMap(({ name, addresses, container = EXTERN, peer }) =>
      addresses.map((address) =>
        [relative(name, dns?.domain).padEnd(12), address.padEnd(15), container.slice(0, 12).padEnd(12), peer].join(' '),
      ),
    )
    .join('\n');

const relative = (name: string, domain: string | undefined) => (domain ? name.slice(0, -domain.length - 1) : name);
const order = (a: string, b: string) => (a < b ? -1 : Number(a > b));
