import { existsSync, globSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { ROOT } from './layout.ts';
import { librariesOf } from './libraries.ts';

/** One entry of the image: a copy of a file of this machine, a text, or a symbolic link. */
export type ImageFile = { path: string; executable?: boolean } & (
  | { from: string }
  | { text: string }
  | { link: string }
);

/** What the daemon runs where it is there; without nft no gateway of Weave's own, without etcd no store of its own. */
const TOOLS = ['nft', 'nsenter', 'iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy'];
const TOOL_DIRS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** What iptables loads for the rules that it shows. */
const EXTENSIONS = ['/usr/lib/*/xtables/*.so', '/usr/lib64/xtables/*.so', '/usr/lib/xtables/*.so'];

/** All that the daemon needs, from the files of this machine: nothing is fetched from anywhere. */
export async function imageFiles(): Promise<ImageFile[]> {
  const node = realpathSync(process.execPath);
  const native = nativeFiles();
  const tools = [...TOOLS, 'etcd'].flatMap((name) => toolFiles(name));
  const binaries = [node, ...native.filter((file) => file.endsWith('.node')), ...tools.flatMap(sourceOf)];
  const libraries = new Set((await Promise.all(binaries.map(librariesOf))).flat());
  const extensions = tools.some(({ path }) => path.includes('iptables')) ? globSync(EXTENSIONS) : [];
  const copied = [...libraries, ...extensions, ...existing('/etc/ld.so.cache')];
  return unique([
    ...ENTRIES,
    { path: '/usr/local/bin/node', from: node, executable: true },
    ...commandFiles(),
    ...native.map((from) => ({ path: `${ROOT}/node_modules/@weave/native/${basename(from)}`, from })),
    ...tools,
    ...copied.map((from) => ({ path: from, from, executable: true })),
  ]);
}

const ENTRIES: ImageFile[] = [
  { path: '/var/run', link: '../run' },
  { path: '/etc/nsswitch.conf', text: 'hosts: files dns\n' },
  {
    path: '/usr/local/bin/weave',
    text: `#!/usr/local/bin/node\nrequire('${ROOT}/cli/bin/weave.cjs');\n`,
    executable: true,
  },
];

/** The bundles of this very command. */
function commandFiles(): ImageFile[] {
  const root = dirname(dirname(realpathSync(process.argv[1]!)));
  const bundles = readdirSync(join(root, 'dist/bundle')).map((name) => `dist/bundle/${name}`);
  return ['bin/weave.cjs', ...bundles].map((name) => ({ path: `${ROOT}/cli/${name}`, from: join(root, name) }));
}

function nativeFiles(): string[] {
  const folder = dirname(createRequire(realpathSync(process.argv[1]!)).resolve('@weave/native'));
  const wanted = (name: string) => /^(package\.json|index\.js|wait\.js|weave-wait\..*|.*\.node)$/.test(name);
  return readdirSync(folder)
    .filter(wanted)
    .map((name) => join(folder, name));
}

/** A tool may be a name for a program of many. */
function toolFiles(name: string): ImageFile[] {
  const named = name === 'etcd' ? process.env.WEAVE_ETCD : undefined;
  const dirs = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...TOOL_DIRS];
  const found = [...(named ? [named] : []), ...dirs.map((dir) => join(dir, name))].find((path) => existsSync(path));
  if (!found) return [];
  const from = realpathSync(found);
  const path = `/usr/sbin/${name}`;
  if (basename(from) === name) return [{ path, from, executable: true }];
  return [
    { path: `/usr/sbin/${basename(from)}`, from, executable: true },
    { path, link: basename(from) },
  ];
}

const sourceOf = (file: ImageFile) => ('from' in file ? [file.from] : []);
const existing = (path: string) => (existsSync(path) ? [path] : []);

/** In the order of their paths, so that the same files are the same image. */
function unique(files: ImageFile[]): ImageFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
