import { execFile } from 'node:child_process';

export interface Answer {
  status: string;
  flags: string[];
  /** Of the answer section, as dig prints them. */
  answers: string[];
  authority: string[];
  additional: string[];
  question: string;
  text: string;
}

/** Asks with Debian's dig. */
export async function dig(...args: string[]): Promise<Answer> {
  const text = await print('dig', ['+time=6', '+tries=1', '+nocookie', ...args]);
  const section = (name: string) => {
    const lines = new RegExp(`;; ${name} SECTION:\n((?:.+\n)*)`).exec(text)?.[1] ?? '';
    return lines.split('\n').flatMap((line) => (line ? [line.replace(/\s+/g, ' ')] : []));
  };
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? 'none',
    flags: /flags: ([a-z ]*);/.exec(text)?.[1]?.split(' ') ?? [],
    answers: section('ANSWER'),
    authority: section('AUTHORITY'),
    additional: section('ADDITIONAL'),
    question: section('QUESTION')[0] ?? '',
    text,
  };
}

/** The last fields of the answers, sorted. */
export const values = ({ answers }: Answer): string[] =>
  answers.map((line) => line.split(' ').slice(4).join(' ')).sort();

const print = (command: string, args: string[]): Promise<string> =>
  // Exit code 9, nobody answered, is an answer too.
  new Promise((resolve) => execFile(command, args, (_error, stdout, stderr) => resolve(stdout + stderr)));
