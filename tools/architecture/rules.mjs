// Who may import whom. A package that is not here may not exist.
export const packages = {
  '@weave/core': { folder: 'packages/core', mayImport: [], pure: true },
  '@weave/native': { folder: 'native', mayImport: [] },
  '@weave/sdk': { folder: 'packages/sdk', mayImport: ['@weave/core', '@weave/native'] },
  '@weave/docker': { folder: 'packages/docker', mayImport: ['@weave/sdk'] },
  // It answers in native code; the sdk has no use for that.
  '@weave/dns': { folder: 'packages/dns', mayImport: ['@weave/native', '@weave/sdk'] },
  '@weave/cni': { folder: 'packages/cni', mayImport: ['@weave/sdk'] },
  '@weave/cli': {
    folder: 'packages/cli',
    mayImport: ['@weave/sdk', '@weave/docker', '@weave/dns', '@weave/cni'],
    // All that it imports is in its bundle, but for what cannot be.
    bundleNeeds: ['@weave/native'],
  },
  '@weave/e2e': {
    folder: 'packages/e2e',
    mayImport: [
      '@weave/core',
      '@weave/native',
      '@weave/sdk',
      '@weave/docker',
      '@weave/dns',
      '@weave/cni',
      '@weave/cli',
    ],
    // It starts what they built rather than importing it; declared so that they are built first.
    declaresUnused: true,
  },
  '@weave/bench': {
    folder: 'tools/bench',
    mayImport: ['@weave/core', '@weave/dns', '@weave/sdk', '@weave/e2e'],
    private: true,
  },
};

/** A pure package imports no node:* and names none of these. */
export const ioGlobals = new Set([
  'process',
  'Buffer',
  'fetch',
  'console',
  'globalThis',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'require',
  'WebSocket',
]);

/** What the workspace's root brings to every package's tests. */
export const testTools = ['tap'];

export const maxLines = 300;
/** Sources whose length is looked at. */
export const sources = ['packages/*/src/**/*.{ts,sh}', 'native/*/src/**/*.rs', 'tools/**/*.{mjs,ts,sh}'];
