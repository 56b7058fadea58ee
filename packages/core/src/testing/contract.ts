/** One thing that every implementation of a port does. Throws where one does not. */
export interface ContractCase<Subject> {
  name: string;
  run(subject: Subject): Promise<void>;
}

/** Throws unless both are the same when written down. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [text(actual), text(expected)];
  if (a !== b) throw new Error(`${what}: expected ${b}, but it is ${a}`);
}

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Like JSON, but the order of properties does not matter, and undefined is shown. */
function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return value === undefined ? 'undefined' : JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${key}: ${text(each)}`).join(', ')}}`;
}
