import { HOST } from './kernel.ts';
import type { Endpoint } from './model.ts';

/** The engine's sandbox, or the namespace's id, that an interface is in; of the host's own, `host`. */
export function placeOf(sandbox: Endpoint['sandbox']): string | undefined {
  if (sandbox?.kind === 'engine') return sandbox.key;
  return sandbox?.kind === 'netns' ? sandbox.id : sandbox && HOST;
}
