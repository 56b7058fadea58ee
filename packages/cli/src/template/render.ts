import { FUNCTIONS, isTrue, shown } from './functions.ts';
import { mistake } from './lex.ts';
import { type Node, type Pipe, parse, type Term } from './parse.ts';

interface Scope {
  dot: unknown;
  variables: ReadonlyMap<string, unknown>;
  spend: (steps: number) => void;
}

/** Steps and characters: who may read a report may not have it take the daemon's time and memory. */
const MOST = 4_000_000;

/** The part of Go's text/template that scripts use on a report. WEAVE_INVALID_REQUEST. */
export function render(template: string, data: unknown): string {
  try {
    return renderAll(parse(template), { dot: data, variables: new Map([['$', data]]), spend: budget() });
  } catch (error) {
    // The stack's end.
    throw error instanceof RangeError ? mistake('it is nested too deeply') : error;
  }
}

function budget(): Scope['spend'] {
  let left = MOST;
  return (steps) => {
    left -= steps;
    if (left < 0) throw mistake('it makes too much of the report');
  };
}

function renderAll(nodes: readonly Node[], scope: Scope): string {
  let { variables } = scope;
  let text = '';
  for (const node of nodes) {
    scope.spend(1);
    if (node.kind === 'text') text += spent(node.text, scope);
    else if (node.kind === 'print' && node.pipe.variables.length > 0)
      variables = new Map([...variables, [node.pipe.variables[0]!, evaluate(node.pipe, { ...scope, variables })]]);
    else text += renderOne(node, { ...scope, variables });
  }
  return text;
}

function renderOne(node: Exclude<Node, { kind: 'text' }>, scope: Scope): string {
  const value = evaluate(node.pipe, scope);
  if (node.kind === 'print') return spent(shown(value), scope);
  if (node.kind === 'range') return renderEach(node, value, scope);
  const [name] = node.pipe.variables;
  const inner = name ? new Map([...scope.variables, [name, value]]) : scope.variables;
  if (!isTrue(value)) return renderAll(node.otherwise, { ...scope, variables: inner });
  return renderAll(node.then, { ...scope, dot: node.kind === 'with' ? value : scope.dot, variables: inner });
}

function spent(text: string, { spend }: Scope): string {
  spend(text.length);
  return text;
}

function renderEach(node: Extract<Node, { kind: 'range' | 'if' | 'with' }>, value: unknown, scope: Scope): string {
  const entries = entriesOf(value);
  scope.spend(entries.length);
  if (entries.length === 0) return renderAll(node.otherwise, scope);
  const names = node.pipe.variables;
  return entries
    .map(([key, each]) => {
      const [first, second] = names;
      const named: [string, unknown][] =
        first && second
          ? [
              [first, key],
              [second, each],
            ]
          : first
            ? [[first, each]]
            : [];
      return renderAll(node.then, { ...scope, dot: each, variables: new Map([...scope.variables, ...named]) });
    })
    .join('');
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return [...value.entries()];
  if (typeof value === 'object') return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  throw mistake(`there is nothing to range over in ${shown(value)}`);
}

function evaluate({ commands }: Pipe, scope: Scope): unknown {
  let last: unknown[] = [];
  for (const command of commands) last = [call(command, last, scope)];
  return last[0];
}

function call([head, ...rest]: Term[], piped: unknown[], scope: Scope): unknown {
  const given = [...rest.map((term) => read(term, scope)), ...piped];
  if (head!.kind === 'function') return apply(head!.name, given, scope);
  if (given.length > 0) throw mistake('a value that is no function is given others');
  return read(head!, scope);
}

function apply(name: string, given: unknown[], scope: Scope): unknown {
  if (!Object.hasOwn(FUNCTIONS, name)) throw mistake(`there is no function ${name}`);
  if (given.length === 0 && !name.startsWith('print')) throw mistake(`${name} is given nothing`);
  const answer = FUNCTIONS[name]!(...given);
  return typeof answer === 'string' ? spent(answer, scope) : answer;
}

function read(term: Term, scope: Scope): unknown {
  if (term.kind === 'constant') return term.value;
  if (term.kind === 'function') return apply(term.name, [], scope);
  return term.fields.reduce(field, origin(term.of, scope));
}

function origin(of: 'dot' | string | Pipe, scope: Scope): unknown {
  if (typeof of !== 'string') return evaluate(of, scope);
  if (of === 'dot') return scope.dot;
  if (!scope.variables.has(of)) throw mistake(`there is no variable ${of}`);
  return scope.variables.get(of);
}

/** What is not there is a mistake, and not empty: a script shall notice. */
function field(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject || !Object.hasOwn(value, name)) throw mistake(`there is no field ${name}`);
  return value[name as keyof typeof value];
}
