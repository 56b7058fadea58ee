import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, createReadStream, openSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serveNames } from '@weave/dns';
import { cpuTime } from '../daemon.ts';
import { measured, quantile } from '../measure.ts';

const floorProgram = fileURLToPath(new URL('../../../../native/target/release/weave-dns-floor', import.meta.url));
const NAMES = 1000;
const ROUNDS = 5;
const SECONDS = 3;
/** The least that ours may be of the floor. */
const SHARE = 0.7;
const ADDRESS = '127.0.0.1';

interface Server {
  readonly port: number;
  readonly pid: number;
}

interface Sample {
  /** Answers for each second that the server's one thread had a core. */
  readonly each: number;
  /** Answers for each second on the clock. */
  readonly rate: number;
}

/**
 * Local names asked for as fast as they are answered, of each server in turn. What a server is measured by is the CPU
 * time that an answer takes: it is what one core answers, also where others use the machine.
 */
export async function dns(dir: string) {
  const questions = `${dir}/questions`;
  const names = Array.from({ length: NAMES }, (_, i) => ({
    name: `host${i}.weave.local`,
    address: `10.33.0.${i % 250}`,
  }));
  writeFileSync(questions, names.map(({ name }) => `${name} A\n`).join(''));
  writeFileSync(`${dir}/hosts`, names.map(({ name, address }) => `${address} ${name}\n`).join(''));
  await using weave = await serveNames({ listen: [{ address: ADDRESS, port: 0 }], resolvConf: '/dev/null' });
  weave.update({ names: names.map(({ name, address }) => ({ id: name, name, addresses: [address] })) });
  using floor = started(5401, [floorProgram, '5401']);
  using dnsmasq = started(5402, [
    'dnsmasq',
    '-k',
    '-p',
    '5402',
    '-R',
    '-h',
    '-H',
    `${dir}/hosts`,
    '-u',
    'root',
    '-x',
    '',
  ]);
  const ours = { port: weave.listening[0]!.port, pid: process.pid };
  await sleep(1000);

  const samples = { ours: [] as Sample[], floor: [] as Sample[], dnsmasq: [] as Sample[] };
  for (let round = 0; round < ROUNDS; round++) {
    samples.floor.push(await asked(floor, questions));
    samples.ours.push(await asked(ours, questions));
    samples.dnsmasq.push(await asked(dnsmasq, questions));
  }
  const each = (list: readonly Sample[]) => list.map((sample) => sample.each);
  const half =
    (quantile(
      samples.floor.map(({ rate }) => rate),
      0.5,
    ) *
      SHARE) /
    2;
  const latencies = await latenciesAt(half, ours, questions, dir);
  const least = await latenciesAt(half, floor, questions, dir);
  const name = 'answers of one core';
  return [
    measured(each(samples.ours), {
      name,
      unit: '/s',
      reference: { name: 'kernel floor', samples: each(samples.floor) },
      atLeast: SHARE,
    }),
    measured(each(samples.ours), {
      name,
      unit: '/s',
      reference: { name: 'dnsmasq', samples: each(samples.dnsmasq) },
      atLeast: 0.9,
    }),
    measured(latencies, { name: `an answer, at ${Math.round(half / 1000)},000 a second` }),
    measured([quantile(latencies, 0.99)], { name: 'its p99', atMost: 1 }),
    measured(least, { name: "the floor's answer, at the same rate" }),
  ];
}

function started(port: number, [command = '', ...args]: string[]): Server & Disposable {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return { port, pid: child.pid!, [Symbol.dispose]: () => void child.kill() };
}

async function asked({ port, pid }: Server, questions: string): Promise<Sample> {
  const before = cpuTime(pid);
  const said = await dnsperf(['-p', `${port}`, '-d', questions, '-l', `${SECONDS}`, '-c', '8', '-q', '800', '-t', '1']);
  const answers = Number(/Queries completed:\s+(\d+)/.exec(said)![1]);
  return { each: (answers / (cpuTime(pid) - before)) * 1000, rate: answers / SECONDS };
}

/** Milliseconds of each answer. They go into a file: who read them meanwhile would take a CPU that is measured. */
async function latenciesAt(rate: number, { port }: Server, questions: string, dir: string): Promise<number[]> {
  const out = `${dir}/latencies`;
  const args = ['-p', `${port}`, '-d', questions, '-l', `${SECONDS}`, '-c', '8', '-Q', `${Math.round(rate)}`, '-v'];
  const file = openSync(out, 'w');
  await dnsperf(args, file);
  closeSync(file);
  const latencies: number[] = [];
  for await (const line of createInterface({ input: createReadStream(out) })) {
    const seconds = /^> NOERROR \S+ A (\S+)/.exec(line)?.[1];
    if (seconds) latencies.push(Number(seconds) * 1000);
  }
  return latencies;
}

function dnsperf(args: string[], out: 'pipe' | number = 'pipe'): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('dnsperf', ['-s', ADDRESS, ...args], { stdio: ['ignore', out, 'ignore'] });
    const parts: Buffer[] = [];
    child.stdout?.on('data', (part) => parts.push(part));
    child.once('error', reject);
    child.once('close', () => resolve(Buffer.concat(parts).toString()));
  });
}
