/** The errno of Linux, as far as the fakes give them. */
const NUMBERS = {
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  EXFULL: 54,
  EOPNOTSUPP: 95,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
} as const;

export type ErrnoCode = keyof typeof NUMBERS;

/** What the kernel refused, and on account of which link or namespace where it is not the operation's own. */
export class Errno extends Error {
  readonly code: ErrnoCode;
  readonly link: string | undefined;
  readonly netns: string | undefined;

  constructor(code: ErrnoCode, message: string, at: { link?: string; netns?: string } = {}) {
    super(message);
    this.code = code;
    this.link = at.link;
    this.netns = at.netns;
  }

  get errno(): number {
    return NUMBERS[this.code];
  }
}
