/** Durable: this host's records. */
export const STATE_DIR = '/var/lib/weave';
/** Gone with a reboot, as the kernel's state is: the switch namespace is pinned here, and the daemon listens here. */
export const RUN_DIR = '/run/weave';
/** The daemon's socket, below its run directory. */
export const SOCKET = 'weave.sock';
