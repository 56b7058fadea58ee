import { t } from 'tap';

/** Runs the tests of a file in a network and a mount namespace of their own: the file starts itself again there. */
export async function inOwnNamespace(file: string, tests: () => Promise<void>): Promise<void> {
  const PART = 'WEAVE_IN_OWN_NAMESPACE';
  if (process.env[PART] === file) return tests();
  await t.spawn(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', process.execPath, ...process.execArgv, file],
    { env: { ...process.env, [PART]: file } },
    'in a network and a mount namespace of our own',
  );
}
