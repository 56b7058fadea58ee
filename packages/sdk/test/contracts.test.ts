import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Change, type HostStore, leaseId, type Op } from '@weave/core';
import { datapathContract, memoryDatapath, memoryFirewall, storeContract } from '@weave/core/testing';
import { type Test, t } from 'tap';
import { kernelDatapath } from '../src/datapath.ts';
import { open } from '../src/open.ts';
import { openStore } from '../src/store.ts';
import { inOwnNamespace } from './own-namespace.ts';

const run = promisify(execFile);
const file = fileURLToPath(import.meta.url);

/** This file starts itself again: a writer to be killed. */
const PART = 'WEAVE_CONTRACTS_PART';

async function tests(): Promise<void> {
  t.strictSame(networkInterfaces(), {}, 'this is not the network namespace of the machine');
  const dir = mkdtempSync(join(tmpdir(), 'weave-contracts-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  await t.test('the kernel keeps the contract of the datapath', (t) => datapathTests(t, dir));
  await t.test('destroy takes the switch away and nothing else', (t) => destroyTest(t, dir));
  await t.test('the embedded store keeps the contract of the store', (t) => storeTests(t, dir));
  await t.test('nothing acknowledged is lost when the writer is killed', (t) => killTest(t, dir));
  await t.test('a file that cannot be used is set aside, and a new store begun', (t) => asideTests(t, dir));
  await t.test('publishing ports leaves the interface alone that its engine has moved', (t) => publishTest(t, dir));
  await t.test('a full disk is WEAVE_STORE_FAILED, and nothing changed', (t) => fullDiskTest(t, dir));
}

/** Namespaces by a bind mount each, all gone again when `t` ends. */
function namespaces(t: Test, dir: string) {
  const made = new Set<string>();
  const remove = async (path: string) => {
    if (!made.delete(path)) return;
    await run('umount', [path]);
    rmSync(path);
  };
  t.teardown(() => Promise.all([...made].map(remove)));
  const add = async () => {
    const path = join(dir, `netns-${made.size}-${randomBytes(4).toString('hex')}`);
    writeFileSync(path, '');
    await run('unshare', [`--net=${path}`, 'true']);
    made.add(path);
    return path;
  };
  return { add, remove };
}

async function datapathTests(t: Test, dir: string): Promise<void> {
  for (const [index, { name, run }] of datapathContract.entries())
    await t.test(name, async (t) => {
      const { add, remove } = namespaces(t, dir);
      const pin = join(dir, `switch-${index}`);
      const datapath = kernelDatapath(pin);
      t.teardown(async () => {
        await datapath.close();
        // Again, as the case may have closed it.
        await kernelDatapath(pin).destroy();
      });
      await run({ datapath, newNamespace: add, removeNamespace: remove });
    });
  const seen = kernelDatapath(join(dir, 'last'));
  const [host] = await seen.observe([{ netns: 'host' }]);
  t.strictSame(
    host?.links.map((l) => l.name),
    ['lo'],
    'nothing is left in the host',
  );
  await seen.destroy();
}

async function destroyTest(t: Test, dir: string): Promise<void> {
  const netns = await namespaces(t, dir).add();
  const pin = join(dir, 'switch');
  const bridge: Op = { op: 'addBridge', netns: 'switch', name: 'wb', mac: '52:00:00:00:00:01', mtu: 1430 };
  const peer = { netns, name: 'ethwe', mtu: 1430, up: true };
  const veth: Op = { op: 'addVeth', netns: 'switch', name: 'wv', mtu: 1430, master: 'wb', up: true, peer };
  const first = kernelDatapath(pin);
  t.match(await first.apply([[bridge, { ...bridge, netns, name: 'docker0' }, veth]]), [{ done: 3 }]);
  await first.close();
  const second = kernelDatapath(pin);
  t.equal((await second.observe([{ netns: 'switch', links: ['wb', 'wv'] }]))[0]?.links.length, 2, 'closing leaves it');
  await second.destroy();
  t.notOk(statSync(pin, { throwIfNoEntry: false }), 'the pin is gone');
  const third = kernelDatapath(pin);
  const [inSwitch, inContainer] = await third.observe([{ netns: 'switch' }, { netns }]);
  t.strictSame(
    inSwitch?.links.map((l) => l.name),
    ['lo'],
  );
  t.strictSame(
    inContainer?.links.map((l) => l.name),
    ['lo', 'docker0'],
    'with the far ends, and no one else',
  );
  await third.destroy();
}

async function storeTests(t: Test, dir: string): Promise<void> {
  for (const [index, { name, run }] of storeContract.entries())
    await t.test(name, async (t) => {
      const path = join(dir, `store-${index}.db`);
      let { store, setAside } = openStore(path);
      t.notOk(setAside);
      t.teardown(() => store.close());
      const openAgain = () => {
        const opened = openStore(path);
        t.notOk(opened.setAside);
        return opened.store;
      };
      const reopen = () => {
        store.close();
        store = openAgain();
        return store;
      };
      await run({ store, openAgain, reopen });
    });
}

const lease = (address: string): Change => ({
  table: 'lease',
  id: leaseId('weave:10.0.0.0/8', address),
  record: { pool: 'weave:10.0.0.0/8', address },
});

const addressesIn = (store: HostStore) => store.load().map((c) => (c.table === 'lease' ? c.record?.address : c.table));

/** Two records an append, and its number once the append has returned. */
function writeForever(path: string): void {
  const { store } = openStore(path);
  for (let next = store.load().length / 2; ; next++) {
    store.append([lease(`a${next}`), lease(`b${next}`)]);
    writeSync(1, `${next}\n`);
  }
}

async function killTest(t: Test, dir: string): Promise<void> {
  const path = join(dir, 'killed.db');
  let last = -1;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, [...process.execArgv, file, path], {
      env: { ...process.env, [PART]: 'writer' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      last = Number(line);
    });
    const ends = Promise.all([once(child, 'close'), once(lines, 'close')]);
    await Promise.race([once(lines, 'line'), ends]);
    if (round === 0) t.throws(() => openStore(path), { code: 'WEAVE_STORE_LOCKED' }, 'another process has it');
    await delay(Math.random() * 100);
    child.kill('SIGKILL');
    const [[code, signal]] = await ends;
    t.equal(signal, 'SIGKILL', `it did not end by itself, with ${code}`);
    const { store, setAside } = openStore(path);
    const found = new Set(addressesIn(store));
    store.close();
    t.notOk(setAside, 'it can be opened');
    const lost = Array.from({ length: last + 1 }, (_, n) => n).filter(
      (n) => !found.has(`a${n}`) || !found.has(`b${n}`),
    );
    t.strictSame(lost, [], `round ${round}: of ${last + 1} none is lost`);
    t.ok(
      found.size === 2 * (last + 1) || found.size === 2 * (last + 2),
      'at most one was not told of, and it is whole',
    );
  }
}

async function asideTests(t: Test, dir: string): Promise<void> {
  const cases: { name: string; reason: RegExp; spoil(path: string): void; kept?(path: string): unknown }[] = [
    {
      name: 'random bytes',
      reason: /not a database/,
      spoil: (path) => writeFileSync(path, randomBytes(50_000)),
    },
    {
      name: 'a database cut in half',
      reason: /malformed|page/i,
      spoil: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
    },
    {
      name: 'a page of noise',
      reason: /malformed|page|tree/i,
      spoil(path) {
        const bytes = readFileSync(path);
        writeFileSync(path, Buffer.concat([bytes.subarray(0, 8192), randomBytes(4096), bytes.subarray(12288)]));
      },
    },
    {
      name: "somebody else's database",
      reason: /not a weave database/,
      spoil(path) {
        rmSync(path);
        const db = new DatabaseSync(path);
        db.exec("CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('https://weave.works')");
        db.close();
      },
      kept: (path) => new DatabaseSync(path, { readOnly: true }).prepare('SELECT url FROM bookmarks').get(),
    },
    {
      name: 'a later version',
      reason: /schema 2; this version knows 1/,
      spoil(path) {
        const db = new DatabaseSync(path);
        db.exec('PRAGMA user_version=2');
        db.close();
      },
    },
  ];
  for (const [index, { name, reason, spoil, kept = readFileSync }] of cases.entries())
    await t.test(name, async (t) => {
      const folder = join(dir, `aside-${index}`);
      mkdirSync(folder);
      const path = join(folder, 'weave.db');
      const { store } = openStore(path);
      store.append(Array.from({ length: 20_000 }, (_, n) => lease(`10.0.${n >> 8}.${n & 255}`)));
      store.close();
      spoil(path);
      const spoilt = kept(path);
      const opened = openStore(path);
      t.match(opened.setAside?.reason, reason);
      t.strictSame(kept(opened.setAside!.path), spoilt, 'what it was is kept');
      t.strictSame(opened.store.load(), []);
      opened.store.append([lease('10.0.0.1')]);
      opened.store.close();
      const again = openStore(path);
      t.strictSame([again.setAside, addressesIn(again.store)], [undefined, ['10.0.0.1']], 'the new one stays');
      again.store.close();
    });
}

/** Engines from 28 on publish when the interface is in its sandbox already; asked for again it would be made anew. */
async function publishTest(t: Test, dir: string): Promise<void> {
  const datapath = memoryDatapath({ namespaces: ['/sandbox'] });
  await using weave = await open({
    stateDir: join(dir, 'publish'),
    datapath,
    ...{ firewall: memoryFirewall(), switchFilter: memoryFirewall() },
  });
  const options = { 'works.weave.gateway': 'weave' };
  const [network, id] = ['d'.repeat(64), 'e'.repeat(64)];
  const subnets = [{ cidr: '10.3.0.0/16', gateway: '10.3.0.1', ours: false }];
  await weave.networks.adopt({ id: network, subnets, options, internal: false });
  await weave.endpoints.create({ id, network, addresses: ['10.3.0.2/16'] });
  const { link } = await weave.endpoints.attach(id, '/sandbox');
  datapath.moveLink('host', link, '/sandbox', 'eth0');
  const before = datapath.listing();
  t.match(before, /eth0 .* ↔ switch wv/);
  const port = { protocol: 'tcp', hostPort: 8080, port: 80 } as const;
  for (const ports of [[port], [port, { ...port, hostPort: 8081 }], []]) {
    await weave.endpoints.publish(id, ports);
    t.equal(datapath.listing(), before);
  }
}

async function fullDiskTest(t: Test, dir: string): Promise<void> {
  const disk = join(dir, 'disk');
  mkdirSync(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
  t.teardown(() => run('umount', [disk]));
  const path = join(disk, 'weave.db');
  const big = Array.from({ length: 20_000 }, (_, n) => lease(`10.1.${n >> 8}.${n & 255}`));
  const { store } = openStore(path);
  store.append([lease('10.0.0.1')]);
  const filler = join(disk, 'filler');
  const fill = () => {
    try {
      writeFileSync(filler, Buffer.alloc(2 ** 20));
    } catch {
      // Full: as it should be.
    }
  };
  fill();
  t.throws(() => store.append(big), { code: 'WEAVE_STORE_FAILED', kind: 'unavailable' });
  t.strictSame(addressesIn(store), ['10.0.0.1'], 'at once');
  t.throws(() => store.append(big), { code: 'WEAVE_STORE_FAILED' }, 'still');
  rmSync(filler);
  store.append([lease('10.0.0.2')]);
  t.strictSame(addressesIn(store), ['10.0.0.1', '10.0.0.2'], 'with room again it goes on');
  store.close();
  const again = openStore(path);
  t.strictSame([again.setAside, addressesIn(again.store)], [undefined, ['10.0.0.1', '10.0.0.2']]);
  fill();
  again.store.erase();
  again.store.close();
  rmSync(filler);
  const erased = openStore(path);
  t.strictSame([erased.setAside, addressesIn(erased.store)], [undefined, []], 'and can be erased when full');
  erased.store.close();
}

if (process.env[PART] === 'writer') writeForever(process.argv[2]!);
else await inOwnNamespace(file, tests);
