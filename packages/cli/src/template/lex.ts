import { WeaveError } from '@weave/sdk/client';

export type Part = { kind: 'text'; text: string } | { kind: 'action'; tokens: Token[] };

export interface Token {
  kind: 'string' | 'number' | 'field' | 'variable' | 'word' | 'symbol';
  text: string;
  /** White space is before it: `.A .B` are two values, and `.A.B` one. */
  apart: boolean;
}

export const mistake = (what: string): WeaveError =>
  new WeaveError('WEAVE_INVALID_REQUEST', `the template cannot be used: ${what}`, {
    hint: 'It is a Go template, such as {{.Router.Name}} or {{range .Router.Targets}}{{.}} {{end}}.',
  });

const TOKEN =
  /\s*(?:(?<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?<number>-?\d+(?:\.\d+)?)|(?<field>\.[A-Za-z_]\w*)|(?<variable>\$\w*)|(?<word>[A-Za-z_]\w*)|(?<symbol>:=|=|[.,|()]))/y;

/** Text as it is, and what is between braces. A dash inside these takes the white space beyond away. */
export function lex(source: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  let trim = false;
  for (;;) {
    const open = source.indexOf('{{', at);
    const text = source.slice(at, open < 0 ? undefined : open);
    const trimsLeft = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4));
    const left = trim ? text.trimStart() : text;
    parts.push({ kind: 'text', text: trimsLeft ? left.trimEnd() : left });
    if (open < 0) return parts;
    const { inside, end, trims } = action(source, open + (trimsLeft ? 3 : 2));
    if (inside) parts.push({ kind: 'action', tokens: inside });
    at = end;
    trim = trims;
  }
}

/** Undefined inside: a comment. */
function action(source: string, from: number): { inside?: Token[]; end: number; trims: boolean } {
  const comment = /\s*\/\*[\s\S]*?\*\/(\s-)?\}\}/y;
  comment.lastIndex = from;
  const found = comment.exec(source);
  if (found) return { end: comment.lastIndex, trims: found[1] !== undefined };
  const close = /(\s-|\s*)\}\}/y;
  const tokens: Token[] = [];
  for (let at = from; ; ) {
    close.lastIndex = at;
    const closing = close.exec(source);
    if (closing) return { inside: tokens, end: close.lastIndex, trims: closing[1]!.endsWith('-') };
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(source);
    if (!token) throw mistake(source.includes('}}', at) ? `it has ${near(source, at)}` : 'an action has no end }}');
    const [kind, text] = Object.entries(token.groups!).find(([, each]) => each !== undefined)!;
    tokens.push({ kind: kind as Token['kind'], text: text!, apart: /^\s/.test(token[0]) });
    at = TOKEN.lastIndex;
  }
}

const near = (source: string, at: number) => JSON.stringify(source.slice(at, source.indexOf('}}', at)).trim());
