/** What went wrong, by behaviour. Faces map the kind, never the code, to what they must say (see {@link FACES}). */
export type Kind =
  | 'invalid'
  | 'not-found'
  | 'conflict'
  | 'exhausted'
  | 'denied'
  | 'unavailable'
  | 'unconverged'
  | 'bug';

/** Every error of Weave: identity → behaviour, and the advice given when the thrower has none better. */
export const CATALOGUE = {
  WEAVE_INVALID_ADDRESS: ['invalid', 'Write addresses as 10.2.1.1/24 or fd00::1/64, subnets as net:10.2.1.0/24.'],
  WEAVE_INVALID_NAME: [
    'invalid',
    'Names start with a letter or digit and hold only letters, digits, "_", "." and "-".',
  ],
  WEAVE_INVALID_SUBNET: ['invalid', 'A subnet is a network address with its prefix length, such as 10.2.0.0/16.'],
  WEAVE_INVALID_REQUEST: ['invalid', 'See the documentation of this call for the fields it takes.'],
  WEAVE_UNKNOWN_OPTION: ['invalid', 'Remove the option, or use one of those listed.'],
  WEAVE_INVALID_OPTION: ['invalid', 'Say it as its description does: see --help, or the documentation of the call.'],
  WEAVE_HOST_NETWORK: ['invalid', 'Start the container without --net=host to put it on a weave network.'],
  WEAVE_NETWORK_NOT_FOUND: ['not-found', 'List the networks with: weave network ls'],
  WEAVE_ENDPOINT_NOT_FOUND: ['not-found', 'List what is attached with: weave ps'],
  WEAVE_POOL_NOT_FOUND: ['not-found', 'Create the network again: the address pool that it named is not known here.'],
  WEAVE_CONTAINER_NOT_FOUND: ['not-found', 'List the containers with: docker ps --all'],
  WEAVE_BRIDGE_NOT_FOUND: ['not-found', 'List the bridges of this host with: ip link show type bridge'],
  WEAVE_HOSTS_FAILED: ['conflict', 'Attach it without --rewrite-hosts and --add-host.'],
  WEAVE_NETNS_NOT_FOUND: [
    'not-found',
    'Check that the process still runs, or that the path names a network namespace.',
  ],
  WEAVE_NOT_RUNNING: ['conflict', 'Start the container first.'],
  WEAVE_NETWORK_EXISTS: ['conflict', 'Choose another name, or remove the network first.'],
  WEAVE_NETWORK_IN_USE: ['conflict', 'Detach its endpoints first; weave ps lists them.'],
  WEAVE_NETWORK_OWNED: ['conflict', 'Remove it where it was created: docker network rm'],
  WEAVE_SUBNET_OVERLAP: ['conflict', 'Choose another subnet.'],
  WEAVE_ADDRESS_IN_USE: ['conflict', 'Choose another address, or leave the choice to Weave.'],
  WEAVE_ENDPOINT_EXISTS: ['conflict', 'Remove the endpoint first.'],
  WEAVE_LINK_EXISTS: ['conflict', 'Rename or remove the interface that has this name in the container.'],
  WEAVE_PORT_IN_USE: ['conflict', 'Publish another host port.'],
  WEAVE_ENGINE_IPAM: ['conflict', 'Create the network with --ipam-driver weave to let Weave hand out its addresses.'],
  WEAVE_POOL_EXHAUSTED: ['exhausted', 'Detach what is no longer needed, or create a network with a larger subnet.'],
  WEAVE_PERMISSION_DENIED: ['denied', 'Run as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN.'],
  WEAVE_KERNEL_UNSUPPORTED: ['unavailable', 'This kernel lacks a feature; weave needs veth, bridge and vxlan.'],
  WEAVE_STORE_LOCKED: ['unavailable', 'Another daemon runs on this host; see: weave status'],
  WEAVE_STORE_FAILED: ['unavailable', 'Check the free space and the permissions of the state directory.'],
  WEAVE_TOO_MANY_FILES: [
    'unavailable',
    'End some of its clients, or raise the daemon’s limit on open files (LimitNOFILE= of a service).',
  ],
  WEAVE_DAEMON_UNREACHABLE: [
    'unavailable',
    'Start it with: weave launch (or, where no engine is: weave launch --local)',
  ],
  WEAVE_DAEMON_BUSY: ['unavailable', 'It finishes what is under way first. Wait, or end it with: kill -9'],
  WEAVE_ENGINE_UNREACHABLE: ['unavailable', 'Start the Docker engine, or name a pid or a namespace path instead.'],
  WEAVE_ENGINE_REFUSED: ['unavailable', 'See what the engine itself logs.'],
  WEAVE_ENGINE_DENIED: ['denied', 'Check DOCKER_HOST, DOCKER_TLS_VERIFY, and the certificates in DOCKER_CERT_PATH.'],
  WEAVE_ENGINE_TOO_OLD: ['unavailable', 'Install Docker 20.10 or later there.'],
  WEAVE_IMAGE_FAILED: ['unavailable', 'Try again; weave setup does this part alone.'],
  WEAVE_CONTAINER_EXISTS: ['conflict', 'Remove or rename that container, or set WEAVE_CONTAINER_NAME to another name.'],
  WEAVE_CONTAINER_BUSY: ['conflict', 'Wait until it runs or has ended, or remove it: docker rm --force'],
  WEAVE_DIRECTORY_UNREACHABLE: ['unavailable', 'Check that etcd runs and can be reached; see: weave status'],
  WEAVE_JOIN_REFUSED: [
    'conflict',
    'Detach or remove what is named here, or begin this host anew with: weave reset. Then connect it again.',
  ],
  WEAVE_PEER_ALIVE: ['conflict', 'Run weave reset on that host; or stop it, and try again once it is not heard of.'],
  WEAVE_PEER_NOT_FOUND: ['not-found', 'List the hosts with: weave status peers'],
  WEAVE_NOT_CLUSTERED: ['conflict', 'This host is alone; connect it with: weave launch --store, or weave connect'],
  WEAVE_DIRECTORY_LOST: ['unavailable', 'If it was lost for good, run on one host: weave prime --rebuild'],
  WEAVE_DIRECTORY_DENIED: ['denied', 'Check the user, the password and the certificates that --store was given.'],
  WEAVE_ETCD_MISSING: [
    'unavailable',
    'Install it: apt-get install etcd-server, or name its file in WEAVE_ETCD; or use an etcd of yours with --store.',
  ],
  WEAVE_PEER_UNREACHABLE: ['unavailable', 'Check that weave runs there, and that its port 6783/tcp can be reached.'],
  WEAVE_JOIN_DENIED: ['denied', 'Start both hosts with the same password: --password or WEAVE_PASSWORD.'],
  WEAVE_OTHER_CLUSTER: ['conflict', 'Leave one of the two clusters first: weave reset on each of its hosts.'],
  WEAVE_OTHER_VERSION: ['conflict', 'Run the same version of weave on both hosts.'],
  WEAVE_NO_DNS: ['conflict', 'Start the daemon without --no-dns.'],
  WEAVE_DNS_ADDRESS_IN_USE: ['conflict', 'Stop the other DNS server there, or start the daemon with --no-dns.'],
  WEAVE_FIREWALL_FAILED: ['unavailable', 'Install nftables: apt-get install nftables'],
  WEAVE_ALREADY_RUNNING: ['conflict', 'Stop it first with: weave stop'],
  WEAVE_KERNEL: ['unconverged', 'The change is undone; see the daemon log for the kernel’s own words.'],
  WEAVE_BUG: ['bug', 'Please report this with the output of: weave status --json'],
} as const satisfies Record<string, readonly [Kind, string]>;

export type Code = keyof typeof CATALOGUE;

/** What each face says for a kind: HTTP status, CNI error code, exit code of the command. */
export const FACES: Record<Kind, { http: number; cni: number; exit: number }> = {
  invalid: { http: 400, cni: 7, exit: 2 },
  // Not 404: libnetwork reads that as "method not implemented".
  'not-found': { http: 500, cni: 3, exit: 3 },
  conflict: { http: 500, cni: 100, exit: 4 },
  exhausted: { http: 500, cni: 11, exit: 5 },
  denied: { http: 500, cni: 5, exit: 6 },
  unavailable: { http: 500, cni: 50, exit: 7 },
  unconverged: { http: 500, cni: 11, exit: 8 },
  bug: { http: 500, cni: 999, exit: 70 },
};

const BRAND = Symbol.for('weave.error');

export class WeaveError extends Error {
  readonly [BRAND] = true;
  readonly code: Code;
  readonly hint: string;

  constructor(code: Code, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WeaveError';
    this.code = code;
    this.hint = options.hint ?? CATALOGUE[code][1];
  }

  get kind(): Kind {
    return CATALOGUE[this.code][0];
  }

  toJSON() {
    return { code: this.code, kind: this.kind, message: this.message, hint: this.hint };
  }
}

/** True for errors of any copy of this package that is loaded in the process. */
export const isWeaveError = (error: unknown): error is WeaveError =>
  typeof error === 'object' && error !== null && BRAND in error;

/** Refused because the process, or the system, has as many files open as it may. */
export const isFileLimit = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE'].includes(String((error as { code?: unknown } | undefined | null)?.code));

/** Whatever was thrown, as an error of ours: what is unknown is a bug. */
export function asWeaveError(error: unknown): WeaveError {
  if (isWeaveError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new WeaveError(isFileLimit(error) ? 'WEAVE_TOO_MANY_FILES' : 'WEAVE_BUG', message, { cause: error });
}

/** Throws; an expression, so that it can stand after `??`. */
export function fail(code: Code, message: string, options?: { hint?: string; cause?: unknown }): never {
  throw new WeaveError(code, message, options);
}
