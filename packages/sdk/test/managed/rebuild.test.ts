import { keys, WeaveError } from '@weave/core';
import { memoryDirectory } from '@weave/core/testing';
import { t } from 'tap';
import type { Company } from '../../src/company.ts';
import { epochAfter } from '../../src/managed/record.ts';
import { rebuild } from '../../src/verbs/rebuild.ts';

/** A host's cluster in a directory that is there, empty or not, or cannot be reached. */
function clusterIn({ begun = false, reachable = true }) {
  const client = memoryDirectory().client();
  const begin = () =>
    client.commit({ when: [], writes: [{ key: keys.cluster, value: '{"id":"01234567","incarnation":"01234567"}' }] });
  if (!reachable) client.cut();
  return {
    context: { directory: client },
    rebuild: async () => void (await begin()),
    isBegun: async () => (await client.list(keys.cluster)).entries.length > 0,
    ready: begun ? begin() : undefined,
  };
}

const companyOf = (cluster: unknown, managed?: () => Promise<void>) =>
  ({ cluster, sharing: { managed: managed && { rebuild: managed } } }) as unknown as Company;
const answers = async () => {
  throw new WeaveError('WEAVE_INVALID_REQUEST', 'the cluster’s store answers');
};

t.test('a directory in a store that was given is begun anew', async (t) => {
  const cluster = clusterIn({});
  await rebuild(companyOf(cluster));
  t.ok(await cluster.isBegun());
});

t.test('the store is waited for where it is now', async (t) => {
  const before = clusterIn({ reachable: false });
  const now = clusterIn({});
  const company = companyOf(before, async () => {
    setTimeout(() => Object.assign(company, { cluster: now }), 300);
  });
  await rebuild(company);
  t.ok(await now.isBegun());
});

t.test('where the store answers and is empty, only the directory is begun', async (t) => {
  const cluster = clusterIn({});
  await rebuild(companyOf(cluster, answers));
  t.ok(await cluster.isBegun());
});

t.test('where nothing is lost that is said', async (t) => {
  const cluster = clusterIn({ begun: true });
  await cluster.ready;
  await t.rejects(rebuild(companyOf(cluster, answers)), { code: 'WEAVE_INVALID_REQUEST' });
});

t.test('what else is in the way is said at once', async (t) => {
  const missing = async () => {
    throw new WeaveError('WEAVE_ETCD_MISSING', 'etcd is not installed on this host');
  };
  await t.rejects(rebuild(companyOf(clusterIn({}), missing)), { code: 'WEAVE_ETCD_MISSING' });
  const alone = companyOf(undefined, async () => undefined);
  await t.rejects(rebuild(alone), { code: 'WEAVE_NOT_CLUSTERED' });
});

t.test('of stores begun at once each is another one, and all are older than one begun after them', async (t) => {
  const [one, other] = [epochAfter(1), epochAfter(1)];
  t.not(one, other);
  t.ok(Math.min(one, other) > 1);
  for (let epoch = one, count = 0; count < 1000; count++) {
    const next = epochAfter(epoch);
    if (next <= Math.max(epoch, other) || !Number.isSafeInteger(next)) t.fail(`${next} after ${epoch}`);
    epoch = next;
  }
});
