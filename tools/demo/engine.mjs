// The Docker engine, where none runs: with data of its own, so that all of it can go again.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { environment } from '../setup/environment.mjs';
import { StepFailed, say } from '../setup/step.mjs';
import { dockerAnswers, must } from './command.mjs';
import { folder, record } from './record.mjs';

const runFolder = '/run/weave-demo';
const pidFile = `${runFolder}/dockerd.pid`;
const logFile = `${runFolder}/dockerd.log`;
/** What an engine makes for itself: the default network, and the way out of networks that have none. */
const bridges = ['docker0', 'docker_gwbridge'];
const forwarding = '/proc/sys/net/ipv4/ip_forward';

export async function ensureEngine() {
  if (dockerAnswers()) return;
  say(`starting a Docker engine (log: ${logFile})`);
  mkdirSync(runFolder, { recursive: true });
  record({ engine: machineBefore() });
  const log = openSync(logFile, 'a');
  const args = ['--pidfile', pidFile, '--data-root', `${folder}/docker`, '--exec-opt', 'native.cgroupdriver=cgroupfs'];
  const child = spawn('dockerd', args, { detached: true, stdio: ['ignore', log, log], env: environment(), cwd: '/' });
  child.on('error', () => {}); // seen below: it does not answer
  child.unref();
  for (let tries = 0; tries < 300; tries++) {
    if (dockerAnswers()) return;
    if (child.exitCode !== null) break;
    await sleep(100);
  }
  const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
  throw new StepFailed(`${tail}\n\nThe Docker engine does not start; its log: ${logFile}`);
}

/** Ends the engine that the demo started and puts back what an engine leaves on a machine. */
export async function removeEngine(before) {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : undefined;
  if (pid && isDockerd(pid)) {
    process.kill(pid, 'SIGTERM');
    for (let tries = 0; isDockerd(pid) && tries < 300; tries++) await sleep(100);
    if (isDockerd(pid)) throw new StepFailed(`The Docker engine, process ${pid}, does not end`);
  }
  for (const bridge of bridges.filter((name) => !before.bridges.includes(name))) {
    spawnSync('ip', ['link', 'delete', bridge], { env: environment() }); // it may not have been made
  }
  for (const [tool, policy] of Object.entries(before.forwardPolicy)) removeRules(tool, policy);
  writeFileSync(forwarding, before.forwarding);
  rmSync(runFolder, { recursive: true, force: true });
}

function machineBefore() {
  return {
    bridges: bridges.filter((name) => existsSync(`/sys/class/net/${name}`)),
    forwarding: readFileSync(forwarding, 'utf8').trim(),
    forwardPolicy: { iptables: forwardPolicy('iptables'), ip6tables: forwardPolicy('ip6tables') },
  };
}

function forwardPolicy(tool) {
  return /^-P FORWARD (\w+)$/m.exec(must([tool, '-S', 'FORWARD']))?.[1] ?? 'ACCEPT';
}

/** The engine's own chains, what jumps to them, and its bridges' rules. */
function removeRules(tool, policy) {
  const kept = must([`${tool}-save`])
    .split('\n')
    .filter((line) => !/DOCKER|docker0|docker_gwbridge/.test(line))
    .map((line) => line.replace(/^:FORWARD \w+/, `:FORWARD ${policy}`));
  must([`${tool}-restore`], `${kept.join('\n')}\n`);
}

function isDockerd(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim() === 'dockerd';
  } catch {
    return false;
  }
}
