import { connectionsText, dnsText, ipamText, peersText, targetsText } from './text.ts';
import type { View } from './view.ts';

interface Part {
  of(view: View): unknown;
  text(view: View): string;
}

/** What `weave status PART` and `/status/PART` say. */
export const STATUS_PARTS = {
  targets: { of: ({ targets }) => targets, text: ({ targets }) => targetsText(targets) },
  connections: { of: ({ connections }) => connections, text: connectionsText },
  peers: { of: ({ peers }) => peers, text: peersText },
  dns: { of: ({ names }) => names, text: dnsText },
  ipam: { of: ({ pools }) => pools, text: ipamText },
} satisfies Record<string, Part>;

export type StatusPart = keyof typeof STATUS_PARTS;
