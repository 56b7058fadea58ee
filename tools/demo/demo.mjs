// Two containers on a Weave network of this machine's Docker engine, to look at and to go on with.
import { existsSync, lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.mjs';
import { StepFailed, say } from '../setup/step.mjs';
import { docker, dockerAnswers, hasImage, loadImage, show, weave, weaveAnswers } from './command.mjs';
import { ensureEngine, removeEngine } from './engine.mjs';
import { forget, readRecord, record } from './record.mjs';

const label = 'weave.demo';
const network = 'demo';
const containers = ['hello', 'world'];
const image = 'busybox:latest';
/** The engine makes it for the first container that needs a way out. */
const gateway = 'docker_gwbridge';
const link = '/usr/local/bin/weave';
const command = join(checkout, 'tools/weave');
const weavesFiles = ['/var/lib/weave', '/run/weave', '/var/log/weave.log'];

async function up() {
  await ensureEngine();
  if (!hasImage(image)) {
    say(`making the image ${image}`);
    record({ image: true });
    loadImage();
  }
  if (!weaveAnswers()) {
    say('launching weave');
    record({ weave: readRecord().weave ?? weavesFiles.filter((path) => !existsSync(path)) });
    weave('launch', '--local');
  }
  if (!hasGateway()) record({ gateway: true });
  putOnPath();
  say(`starting the containers ${containers.join(' and ')} on the network ${network}`);
  removeContainers();
  // Docker before 28 asks a plugin for an IPv6 subnet only when it is told one.
  docker(
    'network',
    'create',
    '--label',
    label,
    '--driver=weave',
    '--ipam-driver=weave',
    '--ipv6',
    '--subnet=fd64:656d:6f::/64',
    network,
  );
  for (const name of containers)
    docker('run', '--detach', '--label', label, '--name', name, '--network', network, image, 'sleep', '1000000000');
  look();
}

function look() {
  const [from, to] = containers;
  show('docker', 'exec', from, 'ping', '-4', '-c', '2', to);
  show('docker', 'exec', from, 'ping', '-6', '-c', '2', to);
  const addresses = '{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}';
  show('docker', 'inspect', '--format', addresses, ...containers);
  show('weave', 'ps');
  console.log();
  say('the demo is up');
  console.log(`
Go on:
  weave status
  docker run --rm -it --network ${network} busybox      then: ping ${from}
  docker network create --driver weave --ipam-driver weave mine
Remove all of it:
  npm run demo -- --down
`);
}

async function down() {
  const made = readRecord();
  if (dockerAnswers()) {
    say('removing the containers and their network');
    removeContainers();
    if (made.image && !made.engine) docker('image', 'rm', image);
    if (made.gateway && !made.engine && hasGateway()) docker('network', 'rm', gateway);
  }
  if (made.weave) removeWeave(made.weave);
  if (made.engine) {
    say('stopping the Docker engine');
    await removeEngine(made.engine);
  }
  if (isOurs()) rmSync(link);
  forget();
  say('what the demo made is gone');
}

/** Only what bears the demo's label. */
function removeContainers() {
  const ours = docker('ps', '--all', '--quiet', '--filter', `label=${label}`).split('\n').filter(Boolean);
  if (ours.length > 0) docker('rm', '--force', ...ours);
  const networks = docker('network', 'ls', '--quiet', '--filter', `label=${label}`).split('\n').filter(Boolean);
  if (networks.length > 0) docker('network', 'rm', ...networks);
}

/** `files` were not there before the demo launched weave. */
function removeWeave(files) {
  const attached = weaveAnswers() ? JSON.parse(weave('ps', '--json')) : [];
  if (attached.length > 0) {
    throw new StepFailed(
      `${attached.length} containers that the demo did not make use weave. Remove them first: weave ps`,
    );
  }
  say('stopping weave');
  weave('reset');
  for (const path of files) rmSync(path, { recursive: true, force: true });
}

function hasGateway() {
  return docker('network', 'ls', '--quiet', '--filter', `name=^${gateway}$`) !== '';
}

function putOnPath() {
  if (isOurs()) return;
  if (lstatSync(link, { throwIfNoEntry: false })) say(`${link} is not ours and stays; this checkout's is ${command}`);
  else symlinkSync(command, link);
}

function isOurs() {
  return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === command;
}

export const demo = { up, down };
