import type { ContractCase } from './contract.ts';
import type { DirectorySubject } from './directory-bench.ts';
import { commitCases } from './directory-contract-commits.ts';
import { followCases } from './directory-contract-follows.ts';
import { leaseCases } from './directory-contract-leases.ts';

export type { DirectorySubject };

/** What a {@link Directory} does. */
export const directoryContract: readonly ContractCase<DirectorySubject>[] = [
  ...commitCases,
  ...followCases,
  ...leaseCases,
];
