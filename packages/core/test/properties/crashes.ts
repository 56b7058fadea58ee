import { rise } from './pass.ts';
import { of, type Playground, type Verb } from './playground.ts';

const refuse = (w: Playground, n: number) => {
  w.refusal = { after: n % 6, code: of(['ENOMEM', 'ENOBUFS', 'EEXIST', 'ENODEV'] as const, n) };
};

/** What goes wrong with the daemon. */
export const crashes = {
  /** The next verb that touches the kernel fails there, somewhere. */
  async failure(w, { a }) {
    refuse(w, a);
  },
  /** It is killed in what it does next, some also while the kernel refuses that, and while they start again. */
  async crash(w, { a, b, c }) {
    const refused = b % 3 === 0;
    if (refused) refuse(w, c);
    const left = refused ? 3 + (c % 6) + (a % 5) : a % 15;
    w.doom = { left, patient: b % 2 === 0, ...(c % 4 === 0 ? { again: c % 30 } : {}) };
  },
  restart: rise,
} satisfies Record<string, Verb>;
