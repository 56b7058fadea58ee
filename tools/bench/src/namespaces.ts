import { execFileSync } from 'node:child_process';

/** New namespaces, by their paths. */
export function makeNamespaces(prefix: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  execFileSync('ip', ['-batch', '-'], { input: names.map((name) => `netns add ${name}\n`).join('') });
  return names.map((name) => `/run/netns/${name}`);
}
