import { createLab, type Host, learn, told } from '@weave/e2e';
import { measured, quantile } from '../measure.ts';

const ROUNDS = 7;
const SECONDS = 3;
/** So many at a time: what is between two of them is the machine's. */
const PINGS = 200;
const PING_ROUNDS = 40;
/** A host's address, for what is made by hand. */
const HAND = { vni: 7777, mac: '52:00:00:00:77:77' };
/** What both have. */
const MTU = 1430;

/** From a container on one host to one on another: over our VXLAN, and over one that `ip` made of the same parts. */
export async function overlay() {
  await using lab = await createLab({ hosts: 2, docker: false });
  const [a, b] = lab.hosts as [Host, Host];
  await ours(a, b);
  for (const [host, other, last] of [
    [a, b, 1],
    [b, a, 2],
  ] as const)
    await byHand(host, other.ip, last);
  for (const name of ['ours', 'hand']) {
    b.spawn(['ip', 'netns', 'exec', name, 'iperf3', '-s'], { stdio: 'ignore' });
    await b.exec(`until ip netns exec ${name} ss -ltn | grep -q :5201; do sleep 0.05; done`);
  }
  const ways = [
    { name: 'ours', to: '10.47.0.2' },
    { name: 'hand', to: '10.77.0.2' },
  ].map((way) => ({ ...way, throughput: [] as number[], roundTrip: [] as number[] }));
  for (const way of ways) await throughput(a, way, 1);
  // Either is first as often.
  const turn = (round: number) => (round % 2 ? ways : ways.toReversed());
  for (let round = 0; round < ROUNDS; round++)
    for (const way of turn(round)) way.throughput.push(await throughput(a, way, SECONDS));
  for (let round = 0; round < PING_ROUNDS; round++)
    for (const way of turn(round)) way.roundTrip.push(...(await roundTrips(a, way)));
  const [mine, theirs] = ways;
  return [
    measured(mine!.throughput, {
      ...{ name: 'TCP between hosts', unit: 'Gbit/s', atLeast: 0.97 },
      reference: { name: 'hand-made VXLAN', samples: theirs!.throughput },
    }),
    measured(mine!.roundTrip, {
      ...{ name: 'round trip between hosts', unit: 'µs' },
      reference: { name: 'hand-made VXLAN', samples: theirs!.roundTrip },
    }),
    measured([quantile(mine!.roundTrip, 0.5) - quantile(theirs!.roundTrip, 0.5)], {
      ...{ name: 'round trip, longer than over a hand-made VXLAN by', unit: 'µs', atMost: 3 },
    }),
  ];
}

interface Way {
  name: string;
  to: string;
}

async function throughput(host: Host, { name, to }: Way, seconds: number): Promise<number> {
  const client = ['iperf3', '-J', '-t', `${seconds}`, '-c', to];
  const { end } = (await host.json(['ip', 'netns', 'exec', name, ...client])) as {
    end: { sum_received: { bits_per_second: number } };
  };
  return end.sum_received.bits_per_second / 1e9;
}

async function roundTrips(host: Host, { name, to }: Way): Promise<number[]> {
  const ping = ['ping', '-i', '0.001', '-c', `${PINGS}`, to];
  const { stdout } = await host.exec(['ip', 'netns', 'exec', name, ...ping]);
  return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000);
}

/** Both hosts have a daemon, and each is told what the other has. */
async function ours(a: Host, b: Host): Promise<void> {
  for (const [host, last] of [
    [a, 1],
    [b, 2],
  ] as const) {
    await host.exec(['ip', 'netns', 'add', 'ours']);
    await host.weave('launch', '--local');
    await host.weave('attach', `10.47.0.${last}/12`, '/run/netns/ours');
    await host.weave('stop');
  }
  const all = [await told(a, a.ip), await told(b, b.ip)];
  for (const [index, host] of [a, b].entries()) {
    await learn(
      host,
      all.flatMap((each, of) => each.filter(({ table }) => table === 'peer' || of !== index)),
    );
    await host.weave('launch', '--local');
  }
}

/** The same shape: a namespace with the bridge, the device's socket in the host, a pair with one queue. */
async function byHand(host: Host, other: string, last: number): Promise<void> {
  const script = `ip netns add hand; ip netns add wire
    ip -n wire link set lo up
    ip link add hx type vxlan id ${HAND.vni} dstport 4789 local ${host.ip} remote ${other}
    ip link set hx netns wire
    ip -n wire link add hb address ${HAND.mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip -n wire link set hx mtu ${MTU} master hb up
    ip -n wire link set hb mtu ${MTU} up
    ip -n wire link add hv mtu ${MTU} numtxqueues 1 numrxqueues 1 type veth \
      peer name eth0 mtu ${MTU} numtxqueues 1 numrxqueues 1 netns hand
    ip -n wire link set hv master hb up
    ip -n hand link set lo up; ip -n hand link set eth0 up
    ip -n hand addr add 10.77.0.${last}/12 dev eth0`;
  await host.exec(`set -e; ${script}`);
}
