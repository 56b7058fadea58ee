#!/usr/bin/env node
import { failWith } from './output.ts';
import { buildProgram } from './program.ts';

// A reader that went away, such as head, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

buildProgram(process.argv[2])
  .parseAsync()
  .catch((error: unknown) => failWith(error, process.argv.includes('--json')));
