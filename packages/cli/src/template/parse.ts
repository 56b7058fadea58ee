import { lex, mistake, type Part, type Token } from './lex.ts';

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'print'; pipe: Pipe }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipe; then: Node[]; otherwise: Node[] };

/** Commands, each given what the one before it answers; and the variables that the last answer is called. */
export interface Pipe {
  variables: string[];
  commands: Term[][];
}

export type Term =
  | { kind: 'constant'; value: unknown }
  | { kind: 'function'; name: string }
  | { kind: 'value'; of: 'dot' | string | Pipe; fields: string[] };

const CONSTANTS: Record<string, unknown> = { true: true, false: false, nil: null };
const BLOCKS = ['if', 'with', 'range'] as const;

export function parse(source: string): Node[] {
  const parts = lex(source);
  const { nodes, end } = block(parts);
  if (end) throw mistake(`{{${end[0]!.text}}} has nothing that it belongs to`);
  return nodes;
}

/** Until the parts are over, or an else or end. */
function block(parts: Part[]): { nodes: Node[]; end?: Token[] } {
  const nodes: Node[] = [];
  for (let part = parts.shift(); part; part = parts.shift()) {
    if (part.kind === 'text') nodes.push(part);
    else if (['else', 'end'].includes(part.tokens[0]?.text ?? '')) return { nodes, end: part.tokens };
    else nodes.push(statement(part.tokens, parts));
  }
  return { nodes };
}

function statement(tokens: Token[], parts: Part[]): Node {
  const kind = BLOCKS.find((each) => tokens[0]?.kind === 'word' && tokens[0].text === each);
  if (!kind) return { kind: 'print', pipe: whole(tokens) };
  const pipe = whole(tokens.slice(1));
  const { nodes: then, end } = block(parts);
  return { kind, pipe, then, otherwise: otherwise(end, parts, kind) };
}

function otherwise(end: Token[] | undefined, parts: Part[], of: string): Node[] {
  if (!end) throw mistake(`{{${of}}} has no {{end}}`);
  if (end[0]!.text === 'end') return [];
  if (end.length > 1) return [statement(end.slice(1), parts)];
  const { nodes, end: last } = block(parts);
  if (last?.[0]?.text !== 'end') throw mistake(`{{${of}}} has no {{end}}`);
  return nodes;
}

function whole(tokens: Token[]): Pipe {
  const rest = [...tokens];
  const pipe = pipeline(rest);
  if (rest.length > 0) throw mistake(`there is nothing that ${rest[0]!.text} can mean there`);
  return pipe;
}

function pipeline(tokens: Token[]): Pipe {
  const pipe: Pipe = { variables: variables(tokens), commands: [] };
  for (;;) {
    const command: Term[] = [];
    while (tokens[0] && !['|', ')'].includes(tokens[0].text)) command.push(term(tokens));
    if (command.length === 0) throw mistake('a value is missing');
    pipe.commands.push(command);
    if (tokens[0]?.text !== '|') return pipe;
    tokens.shift();
  }
}

/** `$x :=`, or of a range `$i, $x :=`. */
function variables(tokens: Token[]): string[] {
  const at = tokens.findIndex(({ text }) => text === ':=' || text === '=');
  if (at !== 1 && at !== 3) return [];
  const before = tokens.slice(0, at);
  if (!before.every(({ kind, text }, i) => (i % 2 === 0 ? kind === 'variable' : text === ','))) return [];
  tokens.splice(0, at + 1);
  return before.filter(({ kind }) => kind === 'variable').map(({ text }) => text);
}

function term(tokens: Token[]): Term {
  const { kind, text } = tokens.shift()!;
  if (kind === 'string') return { kind: 'constant', value: unquoted(text) };
  if (kind === 'number') return { kind: 'constant', value: Number(text) };
  if (kind === 'word')
    return Object.hasOwn(CONSTANTS, text)
      ? { kind: 'constant', value: CONSTANTS[text] }
      : { kind: 'function', name: text };
  if (kind === 'variable') return { kind: 'value', of: text, fields: fields(tokens) };
  if (kind === 'field') return { kind: 'value', of: 'dot', fields: [text.slice(1), ...fields(tokens)] };
  if (text === '.') return { kind: 'value', of: 'dot', fields: [] };
  if (text !== '(') throw mistake(`there is nothing that ${text} can mean there`);
  const pipe = pipeline(tokens);
  if (tokens.shift()?.text !== ')') throw mistake('a ) is missing');
  return { kind: 'value', of: pipe, fields: fields(tokens) };
}

function fields(tokens: Token[]): string[] {
  const names: string[] = [];
  while (tokens[0]?.kind === 'field' && !tokens[0].apart) names.push(tokens.shift()!.text.slice(1));
  return names;
}

function unquoted(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    throw mistake(`${text} is no string`);
  }
}
