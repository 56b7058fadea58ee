import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One request of a recorded engine; `gave` is what the recorder answered, where later requests refer to it. */
export interface Recorded {
  method: string;
  body?: Body;
  gave?: { PoolID?: string; Pool?: string; Address?: string; Error?: string };
}

/** The daemon was restarted here. */
export interface Restarted {
  restart: true;
}

export interface Trace {
  engine: string;
  steps: (Recorded | Restarted)[];
}

// biome-ignore lint/suspicious/noExplicitAny: a recorded body, of whatever shape
export type Body = Record<string, any>;

/** A fixture, with its ids written out. See fixtures/README.md. */
export function readTrace(name: string): Trace {
  const text = readFileSync(join(import.meta.dirname, 'fixtures/requests', `${name}.jsonl`), 'utf8').trimEnd();
  const [head, ...steps] = text.split('\n').map((line) => JSON.parse(line));
  for (const { body } of steps)
    for (const key of ['NetworkID', 'EndpointID']) if (body?.[key]) body[key] = head.ids[body[key]];
  return { engine: head.engine, steps };
}

/**
 * The recorder that these requests were sent to handed out pools and addresses of its own; an engine would have
 * repeated ours. So every mention of the recorder's is made one of ours.
 */
export class Translator {
  /** The recorder's pool → those of ours that it stands for: it gave the same one several times. */
  readonly #pools = new Map<string, string[]>();
  readonly #subnets = new Map<string, string>();
  /** The recorder's address, plain → ours, with its prefix length. */
  readonly #addresses = new Map<string, string>();

  learn({ gave }: Recorded, answer: Body): void {
    if (gave?.PoolID) {
      this.#pools.set(gave.PoolID, [...(this.#pools.get(gave.PoolID) ?? []), answer.PoolID]);
      this.#subnets.set(gave.Pool!, answer.Pool);
    }
    if (gave?.Address) this.#addresses.set(gave.Address.split('/')[0]!, answer.Address);
  }

  /** `weaveOptions`: added to the options of every network. */
  translate({ method, body }: Recorded, weaveOptions: Record<string, string>): Body | undefined {
    if (!body) return undefined;
    const copy = structuredClone(body);
    if (copy.AddressSpace) copy.AddressSpace = this.#space(copy.AddressSpace);
    if (copy.PoolID) copy.PoolID = this.#pool(copy.PoolID, method === 'IpamDriver.ReleasePool');
    if (method === 'IpamDriver.ReleaseAddress') copy.Address = this.#address(copy.Address).split('/')[0];
    for (const data of [...(copy.IPv4Data ?? []), ...(copy.IPv6Data ?? [])]) {
      data.AddressSpace = this.#space(data.AddressSpace);
      data.Pool = this.#subnets.get(data.Pool) ?? data.Pool;
      if (data.Gateway) data.Gateway = this.#address(data.Gateway);
    }
    if (method === 'NetworkDriver.CreateNetwork')
      Object.assign(copy.Options['com.docker.network.generic'], weaveOptions);
    for (const key of ['Address', 'AddressIPv6'])
      if (copy.Interface?.[key]) copy.Interface[key] = this.#address(copy.Interface[key]);
    return copy;
  }

  #space(text: string): string {
    return text.replace('rec-local', 'weave-local');
  }

  #pool(id: string, forGood: boolean): string {
    const ours = this.#pools.get(id) ?? [];
    return (forGood ? ours.shift() : ours[0]) ?? id;
  }

  #address(text: string): string {
    return this.#addresses.get(text.split('/')[0]!) ?? text;
  }
}
