export type { ContractCase } from './contract.ts';
export { type DatapathSubject, datapathContract } from './datapath-contract.ts';
export { Errno, type ErrnoCode } from './errno.ts';
export {
  type FailAt,
  type ForeignLink,
  type MemoryDatapath,
  type MemoryDatapathOptions,
  memoryDatapath,
} from './memory-datapath.ts';
export { type MemoryFirewall, memoryFirewall } from './memory-firewall.ts';
export { type MemoryStore, memoryStore } from './memory-store.ts';
export { render } from './render.ts';
export { type StoreSubject, storeContract } from './store-contract.ts';
