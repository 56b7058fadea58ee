// Runs in the daemon's container: what comes in goes to the daemon's socket, and back.
import { connect } from 'node:net';
import { join } from 'node:path';
import { RUN_DIR, SOCKET } from '@weave/sdk/client';

const daemon = connect(join(process.env.WEAVE_RUN_DIR || RUN_DIR, SOCKET));
daemon.on('error', (error) => {
  process.stderr.write(error.message);
  process.exit(1);
});
process.stdin.pipe(daemon).pipe(process.stdout);
daemon.on('close', () => process.exit(0));
