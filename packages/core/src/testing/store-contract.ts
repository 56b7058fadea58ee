import { isWeaveError } from '../errors.ts';
import { type Change, type Endpoint, leaseId, TABLES } from '../model.ts';
import type { HostStore } from '../ports.ts';
import { type ContractCase, holds, same } from './contract.ts';

export interface StoreSubject {
  /** Empty at the start of a case. */
  store: HostStore;
  /** What a restart would find. The store that was open before is closed by it. */
  reopen(): HostStore;
  /** A second opener, while the first has it open. */
  openAgain(): HostStore;
}

const pool = (cidr: string): Change => ({
  table: 'pool',
  id: `weave:${cidr}`,
  record: { id: `weave:${cidr}`, cidr, created: 1 },
});

const lease = (address: string): Change => ({
  table: 'lease',
  id: leaseId('weave:10.0.0.0/8', address),
  record: { pool: 'weave:10.0.0.0/8', address },
});

const without = ({ table, id }: Change): Change => ({ table, id, record: null });

const endpoint = (id: string, rest: Partial<Endpoint> = {}): Change => ({
  table: 'endpoint',
  id,
  record: { id, network: 'n', peer: 'p', addresses: ['10.0.0.1/8'], mac: '5a:77:0a:00:00:01', owner: 'weave', ...rest },
});

/** The records, whatever order a table has. */
const sorted = (changes: readonly Change[]) => [...changes].sort((a, b) => (key(a) < key(b) ? -1 : 1));
const key = ({ table, id }: Change) => `${table} ${id}`;

const holdsExactly = (store: HostStore, expected: readonly Change[], what: string) =>
  same(sorted(store.load()), sorted(expected), what);

/** What a {@link HostStore} does. */
export const storeContract: readonly ContractCase<StoreSubject>[] = [
  {
    name: 'is empty at first, and after nothing was appended',
    async run({ store, reopen }) {
      same(store.load(), [], 'new store');
      store.append([]);
      same(reopen().load(), [], 'after an empty append');
    },
  },
  {
    name: 'loads what was appended, at once and after a restart',
    async run({ store, reopen }) {
      const changes = [pool('10.0.0.0/8'), lease('10.0.0.1'), endpoint('e1')];
      store.append(changes);
      holdsExactly(store, changes, 'at once');
      const again = reopen();
      holdsExactly(again, changes, 'after a restart');
      again.append([lease('10.0.0.2')]);
      holdsExactly(reopen(), [...changes, lease('10.0.0.2')], 'after another');
    },
  },
  {
    name: 'loads every table, parents first',
    async run({ store, reopen }) {
      const records = TABLES.map(
        (table) => ({ table, id: 'x', record: { id: 'x', name: table } }) as unknown as Change,
      );
      store.append([...records].reverse());
      same(reopen().load(), records, 'order of tables');
    },
  },
  {
    name: 'the last record of an id is the one that stays',
    async run({ store, reopen }) {
      store.append([endpoint('e1'), endpoint('e2')]);
      store.append([endpoint('e1', { mac: '5a:77:0a:00:00:09' })]);
      store.append([endpoint('e3'), without(endpoint('e3')), endpoint('e3', { network: 'other' })]);
      const expected = [
        endpoint('e1', { mac: '5a:77:0a:00:00:09' }),
        endpoint('e2'),
        endpoint('e3', { network: 'other' }),
      ];
      holdsExactly(reopen(), expected, 'overwritten');
    },
  },
  {
    name: 'removes, also what is not there',
    async run({ store, reopen }) {
      store.append([pool('10.0.0.0/8'), lease('10.0.0.1'), lease('10.0.0.2')]);
      store.append([without(lease('10.0.0.1')), without(lease('10.9.9.9'))]);
      holdsExactly(store, [pool('10.0.0.0/8'), lease('10.0.0.2')], 'at once');
      holdsExactly(reopen(), [pool('10.0.0.0/8'), lease('10.0.0.2')], 'after a restart');
    },
  },
  {
    name: 'the same id in another table is another record',
    async run({ store, reopen }) {
      store.append([{ ...pool('x'), id: 'x' }, endpoint('x')]);
      store.append([without(endpoint('x'))]);
      holdsExactly(reopen(), [{ ...pool('x'), id: 'x' }], 'the pool stays');
    },
  },
  {
    name: 'a batch that fails changes nothing, and the next one works',
    async run({ store, reopen }) {
      store.append([lease('10.0.0.1')]);
      // A BigInt is no JSON: what makes the write fail in the middle of its batch.
      const bad = endpoint('bad', { mac: 1n as never });
      let thrown: unknown;
      try {
        store.append([lease('10.0.0.2'), without(lease('10.0.0.1')), bad, lease('10.0.0.3')]);
      } catch (error) {
        thrown = error;
      }
      holds(thrown !== undefined, 'a batch that cannot be written throws');
      holdsExactly(store, [lease('10.0.0.1')], 'at once');
      store.append([lease('10.0.0.4')]);
      holdsExactly(reopen(), [lease('10.0.0.1'), lease('10.0.0.4')], 'after a restart');
    },
  },
  {
    name: 'a batch of ten thousand',
    async run({ store, reopen }) {
      const many = Array.from({ length: 10_000 }, (_, i) => lease(`10.1.${i >> 8}.${i & 255}`));
      store.append(many);
      same(store.load().length, many.length, 'at once');
      const again = reopen();
      holdsExactly(again, many, 'after a restart');
      again.append(many.map(without));
      same(reopen().load(), [], 'all removed');
    },
  },
  {
    name: 'text of every kind stays as it is',
    async run({ store, reopen }) {
      const names = [
        'köln',
        '网络',
        '🕸️',
        "o'brien",
        '"quoted"',
        'null',
        '\u0000',
        'a\nb',
        '\ud83d',
        ' ',
        'x'.repeat(100_000),
      ];
      const changes = names.map((name, i) => endpoint(`e${i}`, { container: { id: `${i}`, name } }));
      store.append([...changes, { ...lease('ü'), id: 'ü 🕸️' }]);
      holdsExactly(reopen(), [...changes, { ...lease('ü'), id: 'ü 🕸️' }], 'unicode');
    },
  },
  {
    name: 'erased it is empty from the next start on, and begins anew',
    async run({ store, reopen }) {
      store.append([pool('10.0.0.0/8'), lease('10.0.0.1')]);
      store.erase();
      const again = reopen();
      same(again.load(), [], 'erased');
      again.append([lease('10.0.0.2')]);
      holdsExactly(reopen(), [lease('10.0.0.2')], 'anew');
    },
  },
  {
    name: 'what was appended is a copy',
    async run({ store, reopen }) {
      const addresses = ['10.0.0.1/8'];
      store.append([endpoint('e1', { addresses })]);
      addresses.push('10.0.0.2/8');
      holdsExactly(store, [endpoint('e1')], 'at once');
      holdsExactly(reopen(), [endpoint('e1')], 'after a restart');
    },
  },
  {
    name: 'has one writer: a second opener is told WEAVE_STORE_LOCKED',
    async run({ store, openAgain, reopen }) {
      store.append([lease('10.0.0.1')]);
      let thrown: unknown;
      try {
        openAgain().close();
      } catch (error) {
        thrown = error;
      }
      holds(isWeaveError(thrown) && thrown.code === 'WEAVE_STORE_LOCKED', `expected WEAVE_STORE_LOCKED: ${thrown}`);
      store.append([lease('10.0.0.2')]);
      holdsExactly(reopen(), [lease('10.0.0.1'), lease('10.0.0.2')], 'the first goes on, and the lock goes with it');
    },
  },
];
