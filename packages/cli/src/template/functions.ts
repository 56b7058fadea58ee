import { mistake } from './lex.ts';

type Value = unknown;

/** As Go prints what was read from JSON. */
export function shown(value: Value): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(shown).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${pairs.map(([name, each]) => `${name}:${shown(each)}`).join(' ')}]`;
}

/** Go's: what is empty, zero or absent counts as false. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function length(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw mistake(`len has no meaning for ${shown(value)}`);
}

function index(of: Value, ...keys: Value[]): Value {
  return keys.reduce((value, key) => {
    if (Array.isArray(value) && Number.isInteger(key) && Number(key) >= 0 && Number(key) < value.length)
      return value[Number(key)];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject && typeof key === 'string') return Object.hasOwn(value, key) ? value[key as never] : null;
    throw mistake(`there is no index ${shown(key)} of ${shown(value)}`);
  }, of);
}

function compare(a: Value, b: Value): number {
  const comparable = typeof a === typeof b && (typeof a === 'number' || typeof a === 'string');
  if (!comparable) throw mistake(`${shown(a)} and ${shown(b)} cannot be compared`);
  return (a as number) < (b as number) ? -1 : Number((a as number) > (b as number));
}

const VERB = /%(%|([-+0 #]*)(\d*)(?:\.(\d+))?([a-zA-Z]))/g;

function format(pattern: Value, ...values: Value[]): string {
  if (typeof pattern !== 'string') throw mistake('printf wants a pattern');
  const given = [...values];
  const text = pattern.replace(VERB, (whole, _, flags: string, width: string, precision: string | undefined, verb) => {
    if (whole === '%%') return '%';
    if (given.length === 0) throw mistake(`printf has no value for ${whole}`);
    return padded(converted(verb, given.shift(), precision, whole), flags, Number(width));
  });
  if (given.length > 0) throw mistake(`printf has more values than ${JSON.stringify(pattern)} wants`);
  return text;
}

const CONVERSIONS: Record<string, (value: Value, precision: string | undefined) => string | undefined> = {
  v: shown,
  s: (value, precision) => shown(value).slice(0, precision === undefined ? undefined : Number(precision)),
  q: (value) => JSON.stringify(shown(value)),
  t: (value) => (typeof value === 'boolean' ? String(value) : undefined),
  d: (value) => (Number.isInteger(value) ? String(value) : undefined),
  x: (value) => (Number.isInteger(value) ? Number(value).toString(16) : Buffer.from(shown(value)).toString('hex')),
  f: (value, precision = '6') =>
    typeof value === 'number' ? value.toFixed(Math.min(Number(precision), 100)) : undefined,
};

function converted(verb: string, value: Value, precision: string | undefined, whole: string): string {
  const text = Object.hasOwn(CONVERSIONS, verb) ? CONVERSIONS[verb]!(value, precision) : undefined;
  if (text === undefined) throw mistake(`printf cannot write ${shown(value)} as ${whole}`);
  return text;
}

/** More than this is a mistake, and takes all memory. */
const WIDEST = 1000;

function padded(text: string, flags: string, width: number): string {
  if (width > WIDEST) throw mistake(`a width of ${width} is too much`);
  if (flags.includes('-')) return text.padEnd(width);
  return text.padStart(width, flags.includes('0') ? '0' : ' ');
}

export const FUNCTIONS: Record<string, (...values: Value[]) => Value> = {
  json: (value) => JSON.stringify(value ?? null),
  len: (value) => length(value),
  index,
  printf: format,
  print: (...values) => values.map(shown).join(''),
  println: (...values) => `${values.map(shown).join(' ')}\n`,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  eq: (first, ...others) => others.some((value) => value === first),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
};
