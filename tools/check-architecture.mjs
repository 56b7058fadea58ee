// Says every place where the code breaks the rules of tools/architecture/rules.mjs.
import { checkArchitecture } from './architecture/check.mjs';
import { checkout } from './setup/checkout.mjs';

const found = checkArchitecture(process.argv[2] ?? checkout);
for (const violation of found) console.log(violation);
process.exitCode = found.length > 0 ? 1 : 0;
