import { randomInt } from 'node:crypto';
import { dnsFailure, dnsLife, dnsQuestion, dnsReply } from '@weave/native';
import { type Ask, askTcp, askUdp } from './ask.ts';
import { createCache } from './cache.ts';

const TRY_FOR_MS = 2000;
const GIVE_UP_AFTER_MS = 5000;
const ROUNDS = 2;
/** One that did not answer is asked last for so long. */
const SHUNNED_MS = 30_000;
const AT_ONCE = 1024;
const CACHE_BYTES = 8 * 1024 * 1024;
const SERVFAIL = 2;
const REFUSED = 5;

export interface ForwarderOptions {
  readonly upstreams: () => readonly string[];
  readonly warn: (message: string) => void;
  readonly tryFor?: number;
  readonly giveUpAfter?: number;
}

export interface Forwarder {
  /** What to say to a question; null to what is none. Never later than `giveUpAfter`. */
  answer(packet: Buffer, tcp: boolean): Promise<Buffer | null>;
  close(): void;
}

export function startForwarder(options: ForwarderOptions): Forwarder {
  const { upstreams, warn, tryFor = TRY_FOR_MS, giveUpAfter = GIVE_UP_AFTER_MS } = options;
  const cache = createCache({ bytes: CACHE_BYTES });
  const underWay = new Map<string, Promise<Buffer | undefined>>();
  const shunned = new Map<string, number>();
  const trying = new Set<AbortController>();
  let closed = false;

  const inOrder = () => {
    const now = performance.now();
    const isShunned = (upstream: string) => Number((shunned.get(upstream) ?? 0) > now);
    return upstreams().toSorted((a, b) => isShunned(a) - isShunned(b));
  };

  const attempt = async (ask: Ask, upstream: string, question: Buffer, until: number) => {
    const patience = Math.max(1, Math.min(tryFor, until - performance.now()));
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new Error(`no answer in ${Math.round(patience)} ms`)), patience);
    trying.add(stop);
    question.writeUInt16BE(randomInt(0x10000));
    try {
      const answer = await ask(upstream, question, stop.signal);
      shunned.delete(upstream);
      return answer;
    } catch (error) {
      if (closed) return undefined;
      if (!shunned.has(upstream)) warn(`upstream ${upstream}: ${(error as Error).message}`);
      shunned.set(upstream, performance.now() + SHUNNED_MS);
      return undefined;
    } finally {
      clearTimeout(timer);
      trying.delete(stop);
    }
  };

  /** The first answer of any of them; one that only says that it cannot is the last resort. */
  const askAll = async (question: Buffer, tcp: boolean) => {
    const until = performance.now() + giveUpAfter;
    let refusal: Buffer | undefined;
    for (let round = 0; round < ROUNDS && !refusal; round++) {
      for (const upstream of inOrder()) {
        if (closed || performance.now() >= until) return refusal;
        const answer = await attempt(tcp ? askTcp : askUdp, upstream, question, until);
        if (answer && !cannot(answer)) return answer;
        refusal ??= answer;
      }
    }
    return refusal;
  };

  const keep = (key: string, answer: Buffer | undefined) => {
    const life = answer && dnsLife(answer);
    if (life) cache.put(key, answer, life);
    return answer;
  };

  const askOnce = (key: string, question: Buffer, tcp: boolean) => {
    const id = `${tcp ? 'tcp' : 'udp'} ${key}`;
    const asked = underWay.get(id);
    if (asked || underWay.size >= AT_ONCE) return asked;
    const asking = askAll(question, tcp)
      .then((answer) => keep(key, answer))
      .finally(() => underWay.delete(id));
    underWay.set(id, asking);
    return asking;
  };

  return {
    async answer(packet, tcp) {
      const question = dnsQuestion(packet);
      if (!question) return null;
      const key = question.toString('latin1');
      const known = cache.get(key);
      if (known) return dnsReply(packet, known.answer, known.age, tcp);
      const answer = await askOnce(key, question, tcp);
      return answer ? dnsReply(packet, answer, 0, tcp) : dnsFailure(packet);
    },
    close() {
      closed = true;
      for (const stop of trying) stop.abort(new Error('the server ends'));
    },
  };
}

function cannot(answer: Buffer): boolean {
  const code = answer.readUInt8(3) & 0xf;
  return code === SERVFAIL || code === REFUSED;
}
