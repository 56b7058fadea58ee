import type { Test } from 'tap';
import { type Result, type Rig, TRACE } from './rig.ts';

/** What the command says, of the daemon in a rig. */
export function sayingOf(rig: Rig) {
  async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await rig.run(...args, '--json');
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }

  async function prints(t: Test, args: string[], stdout: string | RegExp) {
    const result = await rig.run(...args);
    const wanted = typeof stdout === 'string' ? `${stdout}\n`.replace(/^\n$/, '') : stdout;
    t.match({ ...result }, { code: 0, stderr: /^$/ }, args.join(' '));
    if (typeof wanted === 'string') t.equal(result.stdout, wanted, `says ${stdout}`);
    else t.match(result.stdout, wanted);
  }

  async function refused(t: Test, args: string[], code: number, stderr: RegExp): Promise<Result> {
    const before = await rig.state();
    const result = await rig.run(...args);
    t.match(result, { code, stderr, stdout: /^$/ }, args.join(' '));
    t.notMatch(result.stderr, TRACE, 'no stack trace');
    t.equal(await rig.state(), before, 'and nothing changed');
    return result;
  }

  return { json, prints, refused };
}
