export type { ContractCase } from './contract.ts';
export { type DatapathSubject, datapathContract } from './datapath-contract.ts';
export { type DirectorySubject, directoryContract } from './directory-contract.ts';
export { Errno, type ErrnoCode } from './errno.ts';
export {
  type FailAt,
  type ForeignLink,
  type MemoryDatapath,
  type MemoryDatapathOptions,
  memoryDatapath,
} from './memory-datapath.ts';
export { type MemoryDirectory, type MemoryDirectoryOptions, memoryDirectory } from './memory-directory.ts';
export type { DirectoryClient, Later } from './memory-directory-client.ts';
export { type MemoryFirewall, memoryFirewall } from './memory-firewall.ts';
export { type MemoryStore, memoryStore } from './memory-store.ts';
export { render } from './render.ts';
export { type StoreSubject, storeContract } from './store-contract.ts';
