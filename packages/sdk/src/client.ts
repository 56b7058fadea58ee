/** What a program needs that only talks to the daemon: quick to load, as a command has to be. */
export {
  asWeaveError,
  type Code,
  DEFAULT_DOMAIN,
  DEFAULT_NETWORK,
  type Endpoint,
  FACES,
  formatCidr,
  isWeaveError,
  NETWORK_OPTIONS,
  type Network,
  type PublishedPort,
  parseAddressRequest,
  subnet,
  WeaveError,
} from '@weave/core';
export { type ConnectOptions, connect } from './connect.ts';
export { type Link, linksOf, OVERLAY } from './links.ts';
export { RUN_DIR, SOCKET, STATE_DIR } from './paths.ts';
export { VERSION } from './version.ts';
export { WAIT, WAITS_AT } from './wait.ts';
export type * from './weave.ts';
