import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../../native/target/release/weave-floor', import.meta.url));

/** The reference program: times the kernel alone, and other programs from their fork to their end. */
export interface Yardstick extends Disposable {
  /** Milliseconds. `queues`: of each end of the pair; absent, as many as the kernel likes. */
  attach(number: number, netns: string, queues?: number): Promise<number>;
  detach(number: number): Promise<number>;
  run(command: readonly string[], options?: { input?: string; env?: Record<string, string> }): Promise<number>;
}

export function startYardstick(): Yardstick {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    const answer = await answers.next();
    if (answer.done) throw new Error(`${program} ended at: ${line}`);
    return Number(answer.value) / 1000;
  };
  return {
    attach: (number, netns, queues = 0) => ask(`attach ${number} ${netns} ${queues}`),
    detach: (number) => ask(`detach ${number}`),
    run: (command, { input = '/dev/null', env = {} } = {}) => {
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
      return ask(['run', input, ...variables, '--', ...command].join(' '));
    },
    [Symbol.dispose]: () => void child.kill(),
  };
}
