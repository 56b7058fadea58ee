import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const openssl = (...args: string[]) => promisify(execFile)('openssl', args);

export interface Authority {
  /** Its own certificate, as a file and as text. */
  path: string;
  pem: string;
  /** Signs a certificate for some names, such as `IP:127.0.0.1`. */
  sign(name: string, names: string): Promise<{ certPath: string; keyPath: string; cert: string; key: string }>;
}

/** Certificates as an administrator makes them, in a folder. */
export async function createAuthority(dir: string, name: string): Promise<Authority> {
  const at = (file: string) => join(dir, `${name}-${file}`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const own = { path: at('ca.pem'), key: at('ca.key') };
  await openssl('req', '-x509', ...newKey, '-keyout', own.key, '-out', own.path, '-days', '2', '-subj', `/CN=${name}`);
  return {
    path: own.path,
    pem: readFileSync(own.path, 'utf8'),
    async sign(subject, names) {
      const [keyPath, request, certPath, extensions] = ['key', 'csr', 'pem', 'ext'].map((kind) =>
        at(`${subject}.${kind}`),
      ) as [string, string, string, string];
      writeFileSync(extensions, `subjectAltName=${names}`);
      await openssl('req', ...newKey, '-keyout', keyPath, '-out', request, '-subj', `/CN=${subject}`);
      const signer = ['-CA', own.path, '-CAkey', own.key, '-CAcreateserial'];
      await openssl('x509', '-req', '-in', request, ...signer, '-out', certPath, '-days', '2', '-extfile', extensions);
      return { certPath, keyPath, cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') };
    },
  };
}
