import { asWeaveError, FACES } from '@weave/sdk/client';

/** `value` for programs, or what `text` makes of it for people. */
export function print<T>(value: T, json: boolean | undefined, text: (value: T) => string): void {
  const out = json ? JSON.stringify(value, null, 2) : text(value);
  if (out !== '') process.stdout.write(`${out}\n`);
}

/** What happened, to what, and what to do; and the exit code that its kind has. */
export function failWith(error: unknown, json: boolean): void {
  const ours = asWeaveError(error);
  process.stderr.write(
    json ? `${JSON.stringify({ error: ours })}\n` : `weave: ${ours.message}\n  ${ours.hint} (${ours.code})\n`,
  );
  process.exitCode = FACES[ours.kind].exit;
}

/** Rows in columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

let isToldOf = false;

/** Says on standard error what takes longer than a second, while it does; only to a person, and not of a part of it. */
export async function withProgress<T>(what: string | (() => string), work: () => Promise<T>): Promise<T> {
  if (isToldOf) return work();
  isToldOf = true;
  const begun = performance.now();
  const tty = process.stderr.isTTY;
  const tick = setInterval(() => {
    const now = typeof what === 'string' ? what : what();
    if (tty) process.stderr.write(`\r${now} … ${Math.round((performance.now() - begun) / 1000)} s`);
  }, 1000);
  try {
    return await work();
  } finally {
    isToldOf = false;
    clearInterval(tick);
    if (tty && performance.now() - begun >= 1000) process.stderr.write('\r\x1b[K');
  }
}
