export * from './address.ts';
export { type AddressRequest, parseAddressRequest } from './address-request.ts';
export { networkAlias, networkOfAlias } from './alias.ts';
export { type AttachSettings, type AttachTarget, attach, attachmentOf, detach } from './attach.ts';
export { bridged, bridgedOf } from './bridged.ts';
export * from './cells.ts';
export { type Consequences, consequences, type Touched, touched } from './consequences.ts';
export {
  announcements,
  desired,
  desiredEndpoint,
  desiredEntries,
  desiredNetwork,
  desiredSwitch,
  hasGateway,
  type Unit,
  unitOf,
  unitsAt,
} from './desired.ts';
export {
  cidrInKey,
  dropNetwork,
  dropPool,
  isDefinition,
  isSame,
  keys,
  learnDefinitions,
  nameInKey,
  published,
  unpooled,
} from './directory.ts';
export { addName, domainOf, MOST_NAMES, type NamedContainer, type NameSpec, nameIn, removeNames } from './dns.ts';
export { dnsAddressFor, dnsHeir, hostRoute, roommates, withoutDns } from './dns-address.ts';
export {
  createEndpoint,
  deleteEndpoint,
  type EndpointSpec,
  holderOf,
  joinEndpoint,
  leaveEndpoint,
  nameEndpoint,
  publishPorts,
  unnameEndpoint,
  withName,
} from './endpoints.ts';
export {
  asWeaveError,
  CATALOGUE,
  type Code,
  FACES,
  fail,
  isFileLimit,
  isWeaveError,
  type Kind,
  WeaveError,
} from './errors.ts';
export { expose, exposureOf, exposures } from './expose.ts';
export { desiredFirewall, type Exposed, type FirewallRules, type PortForward, withLeftover } from './firewall.ts';
export { growNetwork } from './grow.ts';
export { caughtUp, isGrownFrom, type Outgrown, outgrown, takenIn } from './grown.ts';
export {
  learnLease,
  type PoolRequest,
  releaseAddress,
  releasePool,
  requestAddress,
  requestPool,
  returnPool,
} from './ipam.ts';
export { type Arrival, admitted } from './join.ts';
export * from './kernel.ts';
export * from './model.ts';
export { LEAST_MTU, type MeasuredPath, networkMtu, roomOf, VXLAN_OVERHEAD } from './mtu.ts';
export { attachName, bridgeName, GATEWAY_PREFIX, gatewayName, handoverName, hashId, portName } from './names.ts';
export {
  adoptNetwork,
  createNetwork,
  type EngineNetworkSpec,
  forgetNetwork,
  type NetworkSpec,
  nameNetwork,
  removeNetwork,
  type SubnetSpec,
  unbindNetwork,
} from './networks.ts';
export { NETWORK_OPTION, NETWORK_OPTIONS, networkOptions } from './options.ts';
export { type Batch, goneHandovers, plan, queries, STRAYS, transition } from './plan.ts';
export type { Grid, PoolIndex } from './pool-index.ts';
export type {
  Clock,
  Condition,
  Datapath,
  Directory,
  Entry,
  Firewall,
  HostStore,
  News,
  Transaction,
  Write,
} from './ports.ts';
export { type EngineView, rebuild } from './rebuild.ts';
export { partsOf, resize, resizedNetworks } from './resize.ts';
export { State } from './state.ts';
export { mustFit } from './transaction.ts';
