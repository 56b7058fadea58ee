import { DEFAULT_NETWORK } from '@weave/core';
import { type Link, linksOf, OVERLAY } from './links.ts';
import type { Connection, NameEntry, PeerStatus, PoolUse, Status, Weave } from './weave.ts';

type Labels = Record<string, string>;
type Sample = readonly [value: number, labels?: Labels];

/** What Prometheus reads: its text format, version 0.0.4. Weave 2.8's series where they mean the same here, then ours. */
export async function metricsOf(weave: Weave): Promise<string> {
  const { status, peers, pools, connections, targets, names } = await weave.overview();
  const links = linksOf(peers, connections, targets);
  const parts = [
    ofLinks(links),
    ofPaths(connections),
    ofAddresses(pools, peers),
    ofPeers(peers),
    ofNames(names, status),
    ofHost(status),
    ofProcess(),
  ];
  return parts.flat().join('\n').concat('\n');
}

function metric(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string[] {
  const lines = samples.map(([value, labels = {}]) => `${name}${shown(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

function shown(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

const escaped = (text: string) => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');

const STATES: readonly Link['state'][] = ['established', 'pending', 'connecting', 'retrying', 'failed'];

const ofLinks = (links: readonly Link[]): string[] =>
  metric(
    'weave_connections',
    'gauge',
    'Other hosts, and those that this one was told to connect to.',
    STATES.map((state) => [
      links.filter((link) => link.state === state).length,
      { state, type: OVERLAY, encryption: '' },
    ]),
  );

function ofPaths(connections: readonly Connection[]): string[] {
  const each = (read: (connection: Connection) => number | undefined): Sample[] =>
    connections.flatMap((c) => {
      const value = read(c);
      return value === undefined ? [] : [[value, { peer: c.name, address: c.address }] as const];
    });
  const terminations = connections.reduce((sum, connection) => sum + connection.terminations, 0);
  const rtt = each(({ rttMs }) => (rttMs === undefined ? undefined : rttMs / 1000));
  const mtu = each((c) => c.mtu);
  const loss = each((c) => c.lossRatio);
  const sent = each((c) => c.sent.bytes);
  const received = each((c) => c.received.bytes);
  return [
    ...metric('weave_connection_terminations_total', 'counter', 'How often one was lost.', [[terminations]]),
    ...metric('weave_connection_rtt_seconds', 'gauge', 'Smoothed round trip.', rtt),
    ...metric('weave_connection_loss_ratio', 'gauge', 'Of the last probes.', loss),
    ...metric('weave_connection_mtu_bytes', 'gauge', 'The largest packet that gets there whole.', mtu),
    ...metric('weave_connection_sent_bytes_total', 'counter', 'VXLAN, with IP headers.', sent),
    ...metric('weave_connection_received_bytes_total', 'counter', 'VXLAN, with IP headers.', received),
  ];
}

function ofAddresses(pools: readonly PoolUse[], peers: readonly PeerStatus[]): string[] {
  const alive = new Set(peers.filter((peer) => peer.alive).map(({ id }) => id));
  const main = pools.find(({ network, cidr }) => network === DEFAULT_NETWORK && !cidr.includes(':'));
  const lost = main?.holdings.filter(({ peer }) => !alive.has(peer)) ?? [];
  const share = lost.reduce((sum, { addresses }) => sum + Number(addresses), 0) / Number(main?.size ?? 1);
  const each = (read: (pool: PoolUse) => number): Sample[] =>
    pools.map((pool) => [read(pool), { network: pool.network ?? '', subnet: pool.cidr }]);
  const held = (pool: PoolUse) => pool.holdings.reduce((sum, { addresses }) => sum + Number(addresses), 0);
  return [
    ...metric('weave_ips', 'gauge', 'Addresses of the default subnet in use on this host.', [
      [main?.active ?? 0, { state: 'local-used' }],
    ]),
    ...metric('weave_max_ips', 'gauge', 'Addresses of the default subnet.', [[Number(main?.size ?? 0)]]),
    ...metric('weave_ipam_unreachable_count', 'gauge', 'Hosts with addresses that are not heard of.', [[lost.length]]),
    ...metric('weave_ipam_unreachable_percentage', 'gauge', 'Of all addresses, what they hold.', [[100 * share]]),
    ...metric(
      'weave_pool_addresses',
      'gauge',
      'How many there are.',
      each(({ size }) => Number(size)),
    ),
    ...metric('weave_pool_held_addresses', 'gauge', 'How many some host holds.', each(held)),
    ...metric(
      'weave_pool_used_addresses',
      'gauge',
      'In use on this host.',
      each(({ active }) => active),
    ),
  ];
}

const ofPeers = (peers: readonly PeerStatus[]): string[] =>
  metric(
    'weave_peers',
    'gauge',
    'Hosts, itself among them.',
    [true, false].map((alive) => [peers.filter((peer) => peer.alive === alive).length, { alive: String(alive) }]),
  );

/** As in 2.8 those that this host tells of. */
const ofNames = (names: readonly NameEntry[], { peer }: Status): string[] =>
  metric('weave_dns_entries', 'gauge', 'Names that this host gives.', [
    [names.filter((name) => name.peer === peer.id).length],
  ]);

const ofHost = ({ version, networks, endpoints, started, repairs, cluster, notices }: Status): string[] => [
  ...metric('weave_build_info', 'gauge', 'Which version runs.', [[1, { version }]]),
  ...metric('weave_networks', 'gauge', 'Networks of this host.', [[networks]]),
  ...metric('weave_endpoints', 'gauge', 'Endpoints of this host.', [[endpoints]]),
  ...metric('weave_start_time_seconds', 'gauge', 'When the daemon started.', [[started / 1000]]),
  ...metric(
    'weave_store_reachable',
    'gauge',
    'Whether the store that hosts share answers.',
    cluster ? [[Number(cluster.reachable)]] : [],
  ),
  ...metric('weave_notices', 'gauge', 'What a person should know: see weave status.', [[notices.length]]),
  ...metric(
    'weave_repairs_total',
    'counter',
    'What was found broken and mended.',
    Object.entries(repairs).map(([operation, n]) => [n, { operation }]),
  ),
];

function ofProcess(): string[] {
  const { user, system } = process.cpuUsage();
  return [
    ...metric('process_cpu_seconds_total', 'counter', 'CPU time of the daemon.', [[(user + system) / 1e6]]),
    ...metric('process_resident_memory_bytes', 'gauge', 'Memory of the daemon.', [[process.memoryUsage.rss()]]),
  ];
}
