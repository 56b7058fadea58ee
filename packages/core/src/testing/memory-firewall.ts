import type { FirewallRules } from '../firewall.ts';
import type { Firewall } from '../ports.ts';

export interface MemoryFirewall extends Firewall {
  /** What was set last. */
  rules: FirewallRules | undefined;
  set(rules?: FirewallRules): Promise<undefined>;
  /** As if somebody had changed it. */
  disturb(): void;
}

/** A {@link Firewall} that keeps what it is told. */
export function memoryFirewall(): MemoryFirewall {
  let disturbed = false;
  const firewall: MemoryFirewall = {
    rules: undefined,
    async set(rules) {
      firewall.rules = rules;
      disturbed = false;
      return undefined;
    },
    isAsSet: async () => !disturbed,
    disturb: () => {
      disturbed = true;
    },
  };
  return firewall;
}
