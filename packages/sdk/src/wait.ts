/** Where, in the directory of this host's records, the program is that holds back the process of a `weave run`. */
export const WAIT = 'wait/weave-wait';
/** Where the container has it: the engine starts what is there before the container's own command. */
export const WAITS_AT = '/sbin/docker-init';
