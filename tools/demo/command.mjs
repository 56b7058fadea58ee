import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.mjs';
import { environment } from '../setup/environment.mjs';
import { StepFailed } from '../setup/step.mjs';

export const socket = '/var/run/docker.sock';
const client = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';
const options = { env: { ...environment(), DOCKER_HOST: `unix://${socket}` }, encoding: 'utf8', maxBuffer: 64 << 20 };

export const docker = (...args) => must([client, ...args]);
export const weave = (...args) => must([join(checkout, 'tools/weave'), ...args]);
export const weaveAnswers = () => succeeds([join(checkout, 'tools/weave'), 'status']);
export const dockerAnswers = () => existsSync(socket) && succeeds([client, 'version']);
export const hasImage = (name) => succeeds([client, 'image', 'inspect', name]);

/** Runs a command and answers what it printed; ends the demo when it fails. */
export function must(argv, input) {
  const [file, ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(file, args, { ...options, input });
  if (status === 0) return stdout.trim();
  throw new StepFailed(`FAILED: ${argv.join(' ')}\n${error?.message ?? stderr}`);
}

export function loadImage() {
  const image = execFileSync('sh', [join(checkout, 'tools/busybox-image.sh')], { maxBuffer: 64 << 20 });
  must([client, 'load', '--quiet'], image);
}

/** Runs a command where the reader sees it. `as`: its name at the prompt. */
export function show(as, ...args) {
  const output = as === 'docker' ? docker(...args) : weave(...args);
  const words = args.map((word) => (/[\s{}]/.test(word) ? `'${word}'` : word));
  console.log(`\n$ ${[as, ...words].join(' ')}\n${output}`);
}

function succeeds([file, ...args]) {
  return spawnSync(file, args, options).status === 0;
}
