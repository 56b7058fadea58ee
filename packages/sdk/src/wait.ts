/** Where, in the directory of this host's records, the program is that holds back the process of a `weave run`. */
export const WAIT = 'wait/weave-wait';
