import { Agent, request } from 'node:https';
import { WeaveError } from '@weave/core';

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Member {
  readonly id: string;
  /** Empty until it ran for the first time. */
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface Found {
  readonly value: string;
  /** The revision at which it was written. */
  readonly revision: string;
}

export type Condition = { readonly key: string; readonly revision: string };
export type Write = { readonly key: string; readonly value: string | null };

/** What Weave asks of the etcd that its own daemons run: over the JSON form of etcd's gRPC API, on the same port. */
export interface EtcdApi {
  /** Everything under these prefixes, and the members as of then or later. */
  look(prefixes: readonly string[]): Promise<{ found: Map<string, Found>; members: Member[] }>;
  /** Whether the conditions held (revision '0': not there), and so all was written. */
  commit(when: readonly Condition[], then: readonly Write[]): Promise<boolean>;
  addLearner(peerURLs: readonly string[]): Promise<void>;
  promote(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  update(id: string, peerURLs: readonly string[]): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 3000;
const ANSWER_MAX = 4 * 1024 * 1024;

/** `endpoints` is asked anew for each call; the one that answered last is tried first. */
export function etcdApi(endpoints: () => readonly string[], credentials: Credentials): EtcdApi {
  const agent = new Agent({ ...credentials, keepAlive: true, maxSockets: 4, minVersion: 'TLSv1.2' });
  let last = '';
  let closed = false;

  async function on<T>(work: (endpoint: string) => Promise<T>): Promise<T> {
    let [why, where]: [unknown, string] = [new Error('no endpoint is known'), ''];
    for (const endpoint of [...endpoints()].sort((a, b) => Number(b === last) - Number(a === last))) {
      if (closed) break;
      try {
        const answer = await work(endpoint);
        last = endpoint;
        return answer;
      } catch (error) {
        if (error instanceof Refused) throw error;
        [why, where] = [error, ` at ${endpoint}`];
      }
    }
    const message = `the cluster’s etcd${where}: ${(why as Error).message}`;
    throw new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', message, { cause: why });
  }

  const call = (path: string, body: object) => on((endpoint) => post(agent, `${endpoint}/v3/${path}`, body));

  return {
    // One endpoint for both: once it answered a read through consensus, its list of members is as new.
    look: (prefixes) =>
      on(async (endpoint) => {
        const success = prefixes.map((prefix) => ({ request_range: under(prefix) }));
        const read = await post<RawRead>(agent, `${endpoint}/v3/kv/txn`, { success });
        const kvs = (read.responses ?? []).flatMap(({ response_range }) => response_range.kvs ?? []);
        const list = await post<{ members?: RawMember[] }>(agent, `${endpoint}/v3/cluster/member/list`, {});
        const found = kvs.map(({ key, value = '', mod_revision }) => [
          plainOf(key),
          { value: plainOf(value), revision: mod_revision },
        ]);
        return { found: new Map(found as [string, Found][]), members: (list.members ?? []).map(memberOf) };
      }),
    async commit(when, then) {
      const answer = (await call('kv/txn', {
        compare: when.map(({ key, revision }) => ({
          ...{ key: base64(key), target: 'MOD', result: 'EQUAL' },
          mod_revision: revision,
        })),
        success: then.map(({ key, value }) =>
          value === null
            ? { request_delete_range: { key: base64(key) } }
            : { request_put: { key: base64(key), value: base64(value) } },
        ),
      })) as { succeeded?: boolean };
      return answer.succeeded ?? false;
    },
    async addLearner(peerURLs) {
      await call('cluster/member/add', { peerURLs, isLearner: true });
    },
    async promote(id) {
      await call('cluster/member/promote', { ID: id });
    },
    async remove(id) {
      await call('cluster/member/remove', { ID: id });
    },
    async update(id, peerURLs) {
      await call('cluster/member/update', { ID: id, peerURLs });
    },
    close() {
      closed = true;
      agent.destroy();
    },
  };
}

interface KeyValue {
  key: string;
  value?: string;
  mod_revision: string;
}

interface RawRead {
  responses?: { response_range: { kvs?: KeyValue[] } }[];
}

interface RawMember {
  ID: string;
  name?: string;
  peerURLs?: string[];
  clientURLs?: string[];
  isLearner?: boolean;
}

const memberOf = ({ ID, name = '', peerURLs = [], clientURLs = [], isLearner = false }: RawMember): Member => ({
  id: ID,
  ...{ name, peerURLs, clientURLs, isLearner },
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const plainOf = (text: string) => Buffer.from(text, 'base64').toString();

/** Keys end in letters, digits or slashes: the next one after all that begin so is the last byte plus one. */
const under = (prefix: string) => ({
  key: base64(prefix),
  range_end: base64(prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)),
});

/** Said by etcd's own rules, whichever member is asked: another endpoint would say the same. */
export class Refused extends Error {}
const RULES = /not found|already|too many learner|ready|unhealthy|re-?configuration|learner/i;

function post<T>(agent: Agent, url: string, body: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { 'content-type': 'application/json' };
    const sent = request(url, { agent, method: 'POST', headers, signal }, async (response) => {
      try {
        let text = '';
        for await (const part of response.setEncoding('utf8')) {
          text += part;
          if (text.length > ANSWER_MAX) throw new Error('too long an answer');
        }
        resolve(answerOf(response.statusCode ?? 0, text) as T);
      } catch (error) {
        reject(error);
      }
    });
    sent.once('error', (error) => reject(signal.aborted ? new Error('it does not answer') : error));
    sent.end(JSON.stringify(body));
  });
}

function answerOf(status: number, text: string): unknown {
  if (status === 200) return JSON.parse(text);
  const said = messageOf(text);
  throw RULES.test(said) ? new Refused(said) : new Error(`${status} ${said}`);
}

function messageOf(text: string): string {
  try {
    const { error, message } = JSON.parse(text) as { error?: string; message?: string };
    return String(message ?? error ?? text).slice(0, 300);
  } catch {
    return text.slice(0, 300);
  }
}
