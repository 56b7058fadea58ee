// The commands, each in one file with all that it imports: a command starts twice as fast, and the daemon takes half the
// memory. Run in packages/cli, after tsc.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { build } from 'esbuild';

const outdir = 'dist/bundle';

/** Files of their own, read when they are asked for: only the daemon needs more than a client does, and not all of them all. */
const APART = { daemon: /\/daemon\.ts$/, sharing: /\/sharing\.ts$/, remote: /\/remote\.ts$/ };

const apart = {
  name: 'apart',
  setup({ onResolve }) {
    for (const [name, filter] of Object.entries(APART))
      onResolve({ filter }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: `./${name}.cjs`, external: true } : undefined,
      );
  },
};

/** What Weave has no use for: of dockerode Docker over SSH and BuildKit's sessions, of grpc-js telling of its channels. */
const absent = {
  name: 'absent',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs)$/ }, ({ path, importer }) =>
      /\/(dockerode|docker-modem|grpc-js)\//.test(importer) ? { path, namespace: 'absent' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'absent' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** Commander starts other programs as its subcommands where one asks for that; Weave does not. */
const unstarted = {
  name: 'unstarted',
  setup({ onResolve, onLoad }) {
    const onUse =
      "Object.defineProperty(exports, 'spawn', { get: () => process.getBuiltinModule('child_process').spawn });";
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('commander') ? { path: 'child_process', namespace: 'unstarted' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'unstarted' }, () => ({ contents: onUse }));
  },
};

const { metafile } = await build({
  entryPoints: {
    weave: 'src/weave.ts',
    'weave-docker-plugin': 'src/weave-docker-plugin.ts',
    daemon: 'src/daemon.ts',
    remote: 'src/remote/remote.ts',
    relay: 'src/remote/relay.ts',
    sharing: '../sdk/src/sharing.ts',
  },
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node22.18',
  conditions: ['@weave/source'],
  external: ['@weave/native'],
  plugins: [apart, absent, unstarted],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
writeFileSync(join(outdir, 'LICENSES'), licenses(Object.keys(metafile.inputs)));

/** The licence of every package that is in the files: theirs say that it goes with them. */
function licenses(inputs) {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file
        ? readFileSync(folder + sep + file, 'utf8').trim()
        : `Its package brings no text. By ${authorOf(author)}.`;
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function authorOf(author) {
  return typeof author === 'object' ? [author.name, author.email].filter(Boolean).join(', ') : author;
}
