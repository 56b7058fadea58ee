import { type Change, isWeaveError } from '@weave/core';

/** Those that a host shares networks with, as far as its verbs are concerned. */
export interface Others {
  /** When this host has joined others, if it is about to: what it decided before could be theirs already. */
  joining(): Promise<void> | undefined;
  /**
   * Makes true what a decision needs of them; false: it has to be taken anew. True at once where it needs nothing of
   * them.
   */
  allow(decision: Decision): boolean | Promise<boolean>;
  /** Whether the verb that was thrown this may be tried again: what it needs is there now. */
  provide(error: unknown): Promise<boolean>;
  /** Records were changed. */
  note(changes: readonly Change[]): void;
}

export interface Decision {
  changes: readonly Change[];
}

type Use<T extends Decision, R> = (decided: T) => R | Promise<R>;
type Outcome<R> = { done: R } | { after: Promise<void> };

export interface Decisions {
  /**
   * Decides, asks the other hosts for what the decision needs of them, and carries it out: `use` is called at once with
   * a decision that nothing has made old. A host that is alone asks nobody.
   */
  decide<T extends Decision, R>(decision: () => T, use: Use<T, R>): Promise<R>;
  /**
   * The same for networks and pools, one decision after the other. Where this host has to join others first all of it is
   * begun anew: that is work on networks too, and takes its turn.
   */
  define<T extends Decision, R>(prepare: () => Promise<() => T>, use: Use<T, R>): Promise<R>;
}

export function decisions(
  others: () => Others | undefined,
  inTurn: <T>(key: string, work: () => Promise<T>) => Promise<T>,
): Decisions {
  /** What it has to wait for before it decides again, if for anything. */
  async function remedy(error: unknown): Promise<{ after: Promise<void> } | undefined> {
    // A network that is not known here may be theirs.
    const isUnknown = isWeaveError(error) && error.code === 'WEAVE_NETWORK_NOT_FOUND';
    const after = isUnknown ? others()?.joining() : undefined;
    if (after) return { after };
    if (!(await others()?.provide(error))) throw error;
    return undefined;
  }

  async function attempt<T extends Decision, R>(decision: () => T, use: Use<T, R>): Promise<Outcome<R>> {
    for (;;) {
      let decided: T;
      try {
        decided = decision();
      } catch (error) {
        const wait = await remedy(error);
        if (wait) return wait;
        continue;
      }
      if (decided.changes.length === 0) return { done: await use(decided) };
      const after = others()?.joining();
      if (after) return { after };
      const allowed = others()?.allow(decided) ?? true;
      // No await in between: what was free would be taken.
      if (allowed === true || (await allowed)) return { done: await use(decided) };
    }
  }

  async function toTheEnd<R>(work: () => Promise<Outcome<R>>): Promise<R> {
    for (;;) {
      const outcome = await work();
      if ('done' in outcome) return outcome.done;
      await outcome.after;
    }
  }

  return {
    decide: (decision, use) => toTheEnd(() => attempt(decision, use)),
    define: (prepare, use) => toTheEnd(() => inTurn('networks', async () => attempt(await prepare(), use))),
  };
}
