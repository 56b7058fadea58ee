import { type ConnectTarget, linksOf, type PeerStatus, type PoolUse } from '@weave/sdk/client';
import { test } from 'tap';
import { reportOf } from '../src/report/report.ts';
import { connectionsText, ipamText, peersText, statusText, targetsText } from '../src/report/text.ts';
import { ipamState, type View } from '../src/report/view.ts';

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(32)) as [string, string, string, string];

const peers: PeerStatus[] = [
  { id: A, name: 'host1', underlay: '192.0.2.1', self: true, alive: true },
  { id: B, name: 'host2', underlay: '192.0.2.2', self: false, alive: true },
  { id: C, name: 'host3', underlay: 'fd00::3', self: false, alive: true },
  { id: D, name: 'host4', underlay: '192.0.2.4', self: false, alive: false },
];
const traffic = { sent: { packets: 2, bytes: 300 }, received: { packets: 1, bytes: 150 } };
const path = { peer: B, name: 'host2', address: '192.0.2.2', since: 0, lossRatio: 0, terminations: 2, ...traffic };
const connections: View['connections'] = [{ ...path, state: 'reachable', mtu: 1500, rttMs: 0.5 }];
const targets: ConnectTarget[] = [
  { address: 'host2', state: 'together' },
  { address: 'host9:7000', state: 'trying', problem: 'no weave answers there' },
  { address: 'fd00::9', state: 'trying' },
  { address: '192.0.2.8', state: 'refused', problem: 'it has another password' },
];
const holding = (peer: string, name: string, addresses: string) => ({ peer, name, addresses });
const pools: PoolUse[] = [
  { cidr: 'fd00:2::/64', network: 'weave', size: String(2n ** 64n), holdings: [], active: 0, stale: false },
  {
    ...{ cidr: '10.32.0.0/12', network: 'weave', size: '1048576', active: 3, stale: false },
    holdings: [holding(B, 'host2', '65536'), holding(A, 'host1', '524288'), holding(D, 'host4', '1048')],
  },
  { cidr: '10.9.0.0/24', size: '256', holdings: [holding(A, 'host1', '256')], active: 0, stale: true },
];
const status: View['status'] = {
  ...{ version: '3.0.0', pid: 7, peer: { id: A, name: 'host1' }, networks: 2, endpoints: 3, started: 0 },
  ...{ repairs: {}, notices: ['the disk is full'], cluster: { id: 'k', reachable: false, since: 0 } },
};
const view: View = {
  status,
  peers,
  pools,
  targets,
  connections,
  links: linksOf(peers, connections, targets),
  names: [],
};
const alone: View = {
  ...{
    status: { ...status, notices: [] },
    peers: [peers[0]!],
    pools: [],
    targets: [],
    connections: [],
    links: [],
    names: [],
  },
};

test('status, as 2.8 prints it', async (t) => {
  t.equal(
    statusText(view),
    `
        Version: 3.0.0 (version check update disabled)

        Service: router
       Protocol: vxlan
           Name: ${A}(host1)
     Encryption: disabled
  PeerDiscovery: enabled
        Targets: 4
    Connections: 6 (2 established, 1 retrying, 2 failed, 1 connecting)
          Peers: 4 (with 2 established, 1 failed connections)
 TrustedSubnets: none

        Service: ipam
         Status: ready
          Range: 10.32.0.0/12
  DefaultSubnet: 10.32.0.0/12

        Service: plugin (v2)
     DriverName: weave

        Service: daemon
            Pid: 7
        Started: 1970-01-01T00:00:00.000Z
       Networks: 2
      Endpoints: 3
        Cluster: k (the store does not answer: what is known of other hosts may be old)
         Notice: the disk is full
`,
  );
  t.match(statusText(alone), /\n {4}Connections: 0\n {10}Peers: 1\n/);
  t.notMatch(statusText(alone), /ipam/, 'which is left out where there is none');
});

test('connections: everybody once, with the columns of 2.8', async (t) => {
  t.equal(
    connectionsText(view),
    [
      `-> 192.0.2.2:6783        established fastdp ${B}(host2) mtu=1500 rtt=0.50ms lost=0% sent=300 received=150`,
      `-> [fd00::3]:6783        established fastdp ${C}(host3)`,
      `-> 192.0.2.4:6783        failed      fastdp ${D}(host4) it is not heard of`,
      '-> host9:7000            retrying    no weave answers there',
      '-> [fd00::9]:6783        connecting',
      '-> 192.0.2.8:6783        failed      it has another password',
    ].join('\n'),
  );
  t.equal(connectionsText(alone), '');
  const [lost] = linksOf(peers.slice(1, 2), [{ ...path, state: 'unreachable' }], []);
  t.match(lost, { state: 'retrying', problem: 'no answer' });
  t.match(linksOf(peers.slice(1, 2), [{ ...path, state: 'probing' }], []), [{ state: 'pending' }]);
});

test('peers, targets', async (t) => {
  const [self, ...others] = peersText(view).split('\n');
  t.equal(self, `${A}(host1)`);
  t.equal(others[0], `   -> 192.0.2.2:6783        ${B}(host2) established`);
  t.same(others.slice(3), [`${B}(host2)`, `${C}(host3)`, `${D}(host4) - unreachable!`]);
  t.equal(targetsText(targets), 'host2\nhost9:7000\nfd00::9\n192.0.2.8');
});

test('ipam: this host first, then the others; other subnets below', async (t) => {
  t.equal(
    ipamText(view),
    `${A}(host1)   524288 IPs (50.0% of total) (3 active)
${B}(host2)    65536 IPs (06.3% of total)
${D}(host4)     1048 IPs (00.1% of total) - unreachable!

fd00:2::/64 of weave:

10.9.0.0/24 of (being made):
${A}(host1)      256 IPs (100.0% of total) (0 active)
of this host only: the store does not answer`,
  );
  t.equal(ipamText(alone), '');
  const held = (...holdings: PoolUse['holdings']) => ({ ...view, pools: [{ ...pools[1]!, holdings }] });
  t.equal(ipamState(held(holding(A, 'host1', '1'))), 'ready');
  t.equal(ipamState(held()), 'idle');
  t.equal(ipamState(held(holding(B, 'host2', '1'), holding(D, 'host4', '1'))), 'idle');
  t.match(ipamState(held(holding(D, 'host4', '1'))), /unreachable peers/);
});

test('the report, by the names of 2.8', async (t) => {
  const { Router, IPAM, Host } = reportOf(view);
  t.match(Router, {
    ...{ Name: A, NickName: 'host1', Encryption: false, TerminationCount: 2 },
    Targets: ['host2', 'host9:7000', 'fd00::9', '192.0.2.8'],
    Connections: {
      length: 6,
      0: { Address: '192.0.2.2:6783', Outbound: true, State: 'established', Attrs: { mtu: 1500 } },
    },
    Peers: { length: 4, 0: { NickName: 'host1', Connections: { length: 3 } }, 1: { Connections: [] } },
  });
  t.match(IPAM, { Range: '10.32.0.0/12', RangeNumIPs: 1048576, ActiveIPs: 3, DefaultSubnet: '10.32.0.0/12' });
  t.match(IPAM?.Entries, [{ Nickname: 'host2', Size: 65536, IsKnownPeer: true }, {}, {}]);
  t.strictSame(Host, { status, peers, pools, targets, connections, names: [] });
  t.notOk('IPAM' in reportOf(alone), 'nor a subnet where there is none');
});
