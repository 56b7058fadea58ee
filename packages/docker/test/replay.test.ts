import { readdirSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Test, test } from 'tap';
import { type Body, type Recorded, readTrace, Translator } from './replay.ts';
import { createRig, EMPTY, type Rig } from './rig.ts';

const GENERIC = 'com.docker.network.generic';
const MAC = /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/;
const CIDR = /^[0-9a-f.:]+\/\d+$/;

/** Methods that come without a body. */
const BARE = new Set([
  'Plugin.Activate',
  'NetworkDriver.GetCapabilities',
  'IpamDriver.GetCapabilities',
  'IpamDriver.GetDefaultAddressSpaces',
]);

/** What a body asks for that we refuse on purpose: why, and what a user would then write. */
const REFUSED: { when: (step: Recorded) => boolean; says: RegExp; instead: (body: Body) => Body | undefined }[] = [
  {
    when: ({ method, body }) => method.endsWith('RequestPool') && Object.keys(body?.Options ?? {}).length > 0,
    says: /unknown IPAM option (k2|tenant|ik)/,
    instead: (body) => ({ ...body, Options: {} }),
  },
  {
    when: ({ method, body }) => method.endsWith('RequestPool') && /\.77\//.test(body?.Pool),
    says: /has bits set after its prefix/,
    instead: (body) => ({ ...body, Pool: body.Pool.replace('.77/', '.0/') }),
  },
  {
    when: ({ body }) => ['k', 'flag', 'com.weave.multicast'].some((name) => name in (body?.Options?.[GENERIC] ?? {})),
    says: /unknown option (k|flag|com\.weave\.multicast)\. Known options are: mtu/,
    instead: (body) => {
      const { 'com.weave.multicast': multicast, flag: _, k: __, ...known } = body.Options[GENERIC];
      const generic = { ...known, ...(multicast ? { 'works.weave.multicast': multicast } : {}) };
      return { ...body, Options: { ...body.Options, [GENERIC]: generic } };
    },
  },
  {
    when: ({ body }) => body?.IPv4Data?.[0]?.AddressSpace === 'null',
    says: /a weave network needs addresses/,
    instead: () => undefined,
  },
  {
    when: ({ gave }) => gave?.Error !== undefined && /in use/.test(gave.Error),
    says: /is in use/,
    instead: () => undefined,
  },
];

const mode = { engine: {}, weave: { 'works.weave.gateway': 'weave' } } as const;

for (const file of readdirSync(join(import.meta.dirname, 'fixtures/requests'))) {
  const name = file.replace('.jsonl', '');
  for (const way of ['engine', 'weave'] as const)
    test(`${name}, with the way out by ${way}`, async (t) => {
      await using rig = await createRig();
      await new Replay(t, rig, way).run(name);
    });
}

/** One endpoint as the engine sees it. */
interface Sandboxed {
  given: Body;
  mac?: string;
  link?: string;
  sandbox?: string;
}

/** Plays the engine: sends what it sent, does with our answers what it does, and looks at each as it does. */
class Replay {
  readonly #t: Test;
  readonly #rig: Rig;
  readonly #way: keyof typeof mode;
  readonly #translator = new Translator();
  readonly #triedEmpty = new Set<string>();
  readonly #endpoints = new Map<string, Sandboxed>();
  readonly #sandboxes = new Set<string>();
  readonly #internal = new Set<string>();
  /** MAC of every address that had one chosen: the same whenever it is handed out. */
  readonly #macs = new Map<string, string>();
  /** What is not as the engine wants it. */
  readonly #wrong: string[] = [];
  #looked = 0;
  #now = '';

  constructor(t: Test, rig: Rig, way: keyof typeof mode) {
    this.#t = t;
    this.#rig = rig;
    this.#way = way;
  }

  async run(name: string): Promise<void> {
    const clean = this.#rig.datapath.listing();
    const { steps } = readTrace(name);
    for (const [index, step] of steps.entries()) {
      this.#now = `${index + 2}: ${'restart' in step ? 'restart' : step.method}`;
      if ('restart' in step) await this.#restart();
      else await this.#send(step);
    }
    this.#t.same(this.#wrong, [], 'every answer is one that the engine takes');
    this.#t.equal(this.#looked, steps.length);
    this.#t.same(await this.#rig.weave.endpoints.list(), [], 'no endpoint is left');
    const left = this.#rig.datapath.listing().split('\n');
    this.#t.equal(left.filter((line) => !this.#sandboxes.has(line)).join('\n'), clean, 'nothing is left in the kernel');
    this.#t.equal(this.#rig.firewall.rules, undefined, 'nor in the packet filter');
    this.#t.same(await this.#rig.leftovers(), EMPTY, 'nor in the store');
  }

  #expect(holds: unknown, what: string, got?: unknown): void {
    if (!holds)
      this.#wrong.push(`line ${this.#now}: not so: ${what}${got === undefined ? '' : `: ${JSON.stringify(got)}`}`);
  }

  async #restart(): Promise<void> {
    const before = this.#rig.datapath.listing();
    await this.#rig.restart();
    this.#looked++;
    this.#expect(this.#rig.datapath.listing() === before, 'a restart of the plugin changes nothing in the kernel');
  }

  async #send(step: Recorded): Promise<void> {
    this.#looked++;
    const { method } = step;
    let body = this.#translator.translate(step, mode[this.#way]);
    if (!this.#triedEmpty.has(method)) await this.#retryEmpty(method);
    for (const { when, says, instead } of REFUSED)
      if (when(step)) {
        await this.#refused(method, body, says);
        body = instead(body!);
        if (!body) return;
      }
    if (body?.Options?.['com.docker.network.internal']) this.#internal.add(body.NetworkID);
    const { status, body: answer, headers } = await this.#rig.call(method, body);
    this.#expect(status === 200 && !('Err' in answer) && !('Error' in answer), 'answered', { status, answer, body });
    this.#expect(headers['content-type']?.startsWith('application/vnd.docker.plugins.v1.2+json'), 'of the right type');
    if (status !== 200) return;
    this.#translator.learn(step, answer);
    this.#look(method.split('.')[1]!, body ?? {}, answer as Body);
  }

  /** The engine repeats a request whose connection was lost, but with nothing in it. */
  async #retryEmpty(method: string): Promise<void> {
    this.#triedEmpty.add(method);
    if (!BARE.has(method)) await this.#refused(method, undefined, /must be object|empty/);
  }

  async #refused(method: string, body: Body | undefined, says: RegExp): Promise<void> {
    const before = this.#rig.state();
    const { status, body: answer } = await this.#rig.call(method, body);
    this.#expect(says.test(String(answer.Err)) && answer.Err === answer.Error, `refused with ${says}`, answer);
    this.#expect(body === undefined ? status === 400 : status >= 400 && status !== 404, 'refused', status);
    this.#expect(this.#rig.state() === before, 'a refused request changes nothing');
  }

  #look(method: string, body: Body, answer: Body): void {
    const looks: Record<string, (body: Body, answer: Body) => void> = {
      Activate: () => this.#same(answer, { Implements: ['NetworkDriver', 'IpamDriver'] }),
      GetCapabilities: this.#lookCapabilities,
      GetDefaultAddressSpaces: () => this.#same(answer.LocalDefaultAddressSpace, 'weave-local'),
      RequestPool: this.#lookPool,
      RequestAddress: this.#lookAddress,
      CreateEndpoint: this.#lookEndpoint,
      Join: this.#lookJoin,
      Leave: this.#lookLeave,
      EndpointOperInfo: () => this.#same(answer, { Value: {} }),
      ProgramExternalConnectivity: this.#lookProgrammed,
      RevokeExternalConnectivity: this.#lookRevoked,
    };
    if (looks[method]) looks[method].call(this, body, answer);
    else this.#same(answer, {});
  }

  #same(got: unknown, wanted: unknown): void {
    this.#expect(isDeepStrictEqual(got, wanted), JSON.stringify(wanted), got);
  }

  #lookCapabilities(_: Body, answer: Body): void {
    const ipam = { RequiresMACAddress: false, RequiresRequestReplay: false };
    const network = { Scope: 'local', ConnectivityScope: 'local', GwAllocChecker: true };
    this.#same(answer, 'Scope' in answer ? network : ipam);
  }

  #lookPool(body: Body, { PoolID, Pool }: Body): void {
    this.#expect(typeof PoolID === 'string' && PoolID !== '', 'a pool has an id', PoolID);
    this.#expect(CIDR.test(Pool) && Pool.includes(':') === body.V6, 'a subnet of that family', Pool);
    this.#expect(!body.Pool || Pool === body.Pool, 'the pool that was asked for', Pool);
  }

  #lookAddress({ PoolID, Address: wanted }: Body, { Address }: Body): void {
    const pool: string = PoolID.replace('weave:', '');
    this.#expect(CIDR.test(Address) && isIn(Address, pool), `in ${pool}`, Address);
    this.#expect(Address.split('/')[1] === pool.split('/')[1], 'the mask of the pool', Address);
    this.#expect(!wanted || Address.split('/')[0] === wanted, 'the address that was asked for', Address);
  }

  #lookEndpoint({ EndpointID, Interface: given }: Body, { Interface: got }: Body): void {
    this.#same(Object.keys(got), given.MacAddress ? [] : ['MacAddress']);
    const mac = given.MacAddress || got.MacAddress;
    if (got.MacAddress) {
      this.#expect(MAC.test(mac), 'a local unicast MAC', mac);
      this.#expect((this.#macs.get(given.Address) ?? mac) === mac, 'the same MAC for the same address', mac);
      this.#macs.set(given.Address, mac);
    }
    this.#endpoints.set(EndpointID, { given, mac });
  }

  #lookJoin({ EndpointID, SandboxKey, NetworkID }: Body, answer: Body): void {
    const { InterfaceName, StaticRoutes, DisableGatewayService, Gateway, GatewayIPv6 } = answer;
    const { SrcName, DstPrefix } = InterfaceName;
    const endpoint = this.#endpoints.get(EndpointID)!;
    this.#expect(/^[a-z0-9]{1,15}$/.test(SrcName) && DstPrefix === 'ethwe', 'names of an interface', InterfaceName);
    this.#expect(hostLink(this.#rig, SrcName)?.includes(endpoint.mac!), 'the link is there, with its MAC');
    for (const { Destination, RouteType } of StaticRoutes)
      this.#expect(CIDR.test(Destination) && RouteType === 1, 'a route on the link', StaticRoutes);
    this.#same(DisableGatewayService, false);
    const leads = this.#leads(NetworkID);
    this.#expect(leads ? isIP(Gateway) : Gateway === undefined, 'a gateway without mask where we are it', answer);
    const leads6 = leads && endpoint.given.AddressIPv6;
    this.#expect(leads6 ? isIP(GatewayIPv6) : GatewayIPv6 === undefined, 'and of IPv6', answer);
    this.#moveIn(endpoint, SrcName, SandboxKey);
  }

  /** As the engine does with the link that it is handed. */
  #moveIn(endpoint: Sandboxed, link: string, sandbox: string): void {
    if (!this.#sandboxes.has(sandbox)) this.#rig.datapath.addNamespace(sandbox);
    this.#sandboxes.add(sandbox);
    const name = `ethwe${this.#looked}`;
    this.#rig.datapath.moveLink('host', link, sandbox, name);
    Object.assign(endpoint, { link: name, sandbox });
  }

  #lookLeave({ EndpointID }: Body, answer: Body): void {
    this.#same(answer, {});
    const link = this.#endpoints.get(EndpointID)?.link;
    this.#expect(!link || !this.#rig.datapath.listing().includes(` ${link} `), 'the link is gone', link);
  }

  #lookProgrammed({ EndpointID, Options, NetworkID }: Body, answer: Body): void {
    this.#same(answer, {});
    const wanted = (Options['com.docker.network.portmap'] as Body[]).map((p) => p.HostPort);
    this.#same(this.#published(EndpointID), this.#leads(NetworkID) ? wanted : []);
  }

  #lookRevoked({ EndpointID }: Body, answer: Body): void {
    this.#same(answer, {});
    this.#same(this.#published(EndpointID), []);
  }

  /** Host ports that lead to an endpoint by IPv4. */
  #published(id: string): number[] {
    const address = this.#endpoints.get(id)?.given.Address.split('/')[0];
    return (this.#rig.firewall.rules?.ports ?? []).filter((p) => p.address === address).map((p) => p.hostPort);
  }

  #leads(network: string): boolean {
    return this.#way === 'weave' && !this.#internal.has(network);
  }
}

/** The line of a link in the host's namespace. */
function hostLink({ datapath }: Rig, name: string): string | undefined {
  const lines = datapath.listing().split('\n');
  const at = lines.indexOf('host');
  const end = lines.findIndex((line, index) => index > at && !line.startsWith(' '));
  return lines.slice(at, end).find((line) => line.startsWith(`  veth ${name} `));
}

function isIn(address: string, subnet: string): boolean {
  const [network, length] = subnet.split('/');
  const family = subnet.includes(':') ? 'ipv6' : 'ipv4';
  const block = new BlockList();
  block.addSubnet(network!, Number(length), family);
  return block.check(address.split('/')[0]!, family);
}
