#!/usr/bin/env node
import { failWith } from './output.ts';
import { buildProgram } from './program.ts';
import { stayLocal } from './remote/where.ts';

// A reader that went away, such as head, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const words = process.argv.slice(2);
// As Weave 2.8 has it: before the command, whichever it is.
if (words[0] === '--local') {
  stayLocal();
  if (words[1] !== 'launch') words.shift();
  else words.splice(0, 2, 'launch', '--local');
}

buildProgram(words[0])
  .parseAsync(words, { from: 'user' })
  .catch((error: unknown) => failWith(error, process.argv.includes('--json')));
