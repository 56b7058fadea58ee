import { type Condition, type Directory, fail, mustFit, type Transaction, type Write } from '@weave/core';
import { credentialsFor } from './connection.ts';
import { isOutdated } from './failure.ts';
import { createLink } from './link.ts';
import { listAll } from './list.ts';
import { type Compare, METHODS, MOD_REVISION, type Operation, under } from './messages.ts';
import type { EtcdOptions } from './options.ts';
import type { Session } from './session.ts';
import { createWatcher } from './watcher.ts';

/** What all keys of the directory begin with: a user of etcd's may be let read no others. */
const READABLE = '/weave/';

/** A directory in an etcd, from now on looking for it; closed, it lets go of it. */
export function openEtcd(options: EtcdOptions): Directory {
  const { endpoints, prefix: root = '' } = options;
  if (endpoints.length === 0) fail('WEAVE_INVALID_OPTION', 'an etcd has at least one endpoint');
  credentialsFor(endpoints[0]!, options);
  const watcher = createWatcher(root);
  const link = createLink(options, root + READABLE, watcher.use);

  async function call<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await link.session();
    try {
      return await work(session);
    } catch (error) {
      if (!isOutdated(error)) throw error;
      session.lose(error);
      return work(await link.session());
    }
  }

  return {
    list: (prefix) => call(({ connection }) => listAll(connection, root, prefix)),
    async commit(transaction) {
      mustFit(transaction);
      return call((session) => transact(session, root, transaction));
    },
    follow: watcher.follow,
    onReach: link.onReach,
    async close({ endLease = false } = {}) {
      if (endLease) await call(endLeaseOf).catch(() => undefined);
      link.close();
      watcher.close();
    },
  };
}

const endLeaseOf = ({ connection, lease }: Session) => connection.ask(METHODS.revokeLease, { id: lease });

async function transact(
  session: Session,
  root: string,
  { when = [], writes }: Transaction,
): Promise<number | undefined> {
  const compare = when.map((condition) => compareOf(condition, root));
  const success = writes.map((write) => operationOf(write, root, session.lease));
  const { succeeded, header } = await session.connection.ask(METHODS.transact, { compare, success });
  return succeeded ? header!.revision : undefined;
}

/** Of keys that are not there the revision is 0, and of none under a prefix it is too. */
function compareOf(condition: Condition, root: string): Compare {
  if ('none' in condition) return { target: MOD_REVISION, ...under(root + condition.none), modRevision: 0 };
  return { target: MOD_REVISION, key: root + condition.key, modRevision: condition.revision };
}

function operationOf(write: Write, root: string, lease: number): Operation {
  if ('prefix' in write) return { delete: under(root + write.prefix) };
  const key = root + write.key;
  if (write.value === null) return { delete: { key } };
  return { put: { key, value: write.value, ...(write.leased ? { lease } : {}) } };
}
