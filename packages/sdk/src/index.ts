export {
  asWeaveError,
  CATALOGUE,
  type Code,
  DEFAULT_DOMAIN,
  DEFAULT_NETWORK,
  DNS_ADDRESS,
  type Endpoint,
  FACES,
  isWeaveError,
  type Kind,
  NETWORK_OPTION,
  NETWORK_OPTIONS,
  type Network,
  type NetworkSpec,
  type PublishedPort,
  type SubnetSpec,
  WeaveError,
} from '@weave/core';
export { fixedOf, lasting } from './check.ts';
export { type ConnectOptions, connect } from './connect.ts';
export { dockerEngine, type Engine, engineContainer } from './engine.ts';
export { type EtcdOptions, parseEtcdAddress } from './etcd.ts';
export { installWait } from './install-wait.ts';
export { type Link, linksOf, OVERLAY } from './links.ts';
export { inBackground, type Log } from './log.ts';
export { metricsOf } from './metrics.ts';
export { type OpenOptions, open } from './open.ts';
export { describeVerbs } from './openapi.ts';
export { RUN_DIR, SOCKET, STATE_DIR } from './paths.ts';
export { serve } from './serve.ts';
export { listen, mustBeSilent, refusalOf, strictServer, unlistenable } from './server.ts';
export { VERSION } from './version.ts';
export { WAIT } from './wait.ts';
export type * from './weave.ts';
