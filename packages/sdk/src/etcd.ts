import type { Directory } from '@weave/core';

import type { EtcdOptions } from './etcd/options.ts';

export { type EtcdAddress, parseEtcdAddress } from './etcd/address.ts';
export type { EtcdOptions };

/** A directory in an etcd, whether it answers now or not. WEAVE_INVALID_OPTION where a certificate cannot be read. */
export async function etcdDirectory(options: EtcdOptions): Promise<Directory> {
  // A host without an etcd does without the code for it.
  const { openEtcd } = await import('./etcd/directory.ts');
  return openEtcd(options);
}
