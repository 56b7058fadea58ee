import type { ContractCase } from './contract.ts';
import type { DatapathSubject } from './datapath-bench.ts';
import { contentCases } from './datapath-contract-content.ts';
import { entryCases } from './datapath-contract-entries.ts';
import { failureCases } from './datapath-contract-failures.ts';
import { linkCases } from './datapath-contract-links.ts';

export type { DatapathSubject };

/** What a {@link Datapath} does. Every case begins with an empty switch. */
export const datapathContract: readonly ContractCase<DatapathSubject>[] = [
  ...linkCases,
  ...contentCases,
  ...entryCases,
  ...failureCases,
];
