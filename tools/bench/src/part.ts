import { writeFileSync } from 'node:fs';
import { parts } from './parts/index.ts';

// node part.ts NAME DIR: measures one part, and leaves its lines in DIR.
const [name = '', dir = ''] = process.argv.slice(2);
const measures = await parts[name]!(dir);
writeFileSync(`${dir}/measures.json`, JSON.stringify(measures.map((measure) => ({ part: name, ...measure }))));
process.exit();
