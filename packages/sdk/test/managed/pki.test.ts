import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { t } from 'tap';
import { addressBytes, element } from '../../src/managed/der.ts';
import { covers, makeAuthority, makeIdentity } from '../../src/managed/pki.ts';

const addresses = ['10.1.2.3', 'fd00:1::7', 'host.example'];

t.test('a host’s certificate is of its authority, with its name and addresses', async (t) => {
  const authority = makeAuthority('c0ffee');
  const identity = makeIdentity({ name: 'p1', addresses }, authority);
  const cert = new X509Certificate(identity.cert);
  t.equal(cert.checkIssued(new X509Certificate(authority.cert)), true);
  t.equal(cert.ca, false);
  t.equal(cert.checkIP('fd00:1:0:0::7'), 'fd00:1:0:0::7');
  t.equal(cert.checkHost('p1'), 'p1');
  t.equal(covers(identity, { name: 'p1', addresses }, authority), true);
  t.equal(
    covers(identity, { name: 'p1', addresses: ['10.1.2.4'] }, authority),
    false,
    'an address that it does not say',
  );
  t.equal(covers(identity, { name: 'p2', addresses }, authority), false, 'another name');
  t.equal(
    covers(identity, { name: 'p1', addresses }, makeAuthority('c0ffee')),
    false,
    'another authority of the same name',
  );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = { ...identity, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  t.equal(covers(other, { name: 'p1', addresses }, authority), false, 'another key');
});

t.test('a certificate made anew keeps its key', async (t) => {
  const authority = makeAuthority('c0ffee');
  const { key } = makeIdentity({ name: 'p1', addresses: [] }, authority);
  const again = makeIdentity({ name: 'p1', addresses, key }, authority);
  t.equal(again.key, key);
  t.equal(covers(again, { name: 'p1', addresses }, authority), true);
});

t.test('OpenSSL, strictly, takes it for what it is', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-pki-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const authority = makeAuthority('c0ffee');
  for (const [file, content] of [
    ['ca', authority.cert],
    ['host', makeIdentity({ name: 'p1', addresses }, authority).cert],
    ['stranger', makeIdentity({ name: 'p1', addresses }, makeAuthority('c0ffee')).cert],
  ] as const)
    writeFileSync(join(dir, file), content);
  const verify = (file: string, purpose: string) => {
    const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', join(dir, 'ca'), join(dir, file)];
    return execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
  };
  for (const purpose of ['sslserver', 'sslclient']) t.match(verify('host', purpose), 'OK');
  t.throws(() => verify('stranger', 'sslserver'));
});

t.test('addresses and lengths as DER has them', async (t) => {
  t.equal(addressBytes('::1')?.toString('hex'), '00000000000000000000000000000001');
  t.equal(addressBytes('2001:DB8::a:0:1')?.toString('hex'), '20010db8000000000000000a00000001');
  t.equal(addressBytes('::ffff:1.2.3.4')?.toString('hex'), '00000000000000000000ffff01020304');
  t.equal(addressBytes('host.example'), undefined);
  for (const [size, length] of [
    [5, '05'],
    [127, '7f'],
    [128, '8180'],
    [300, '82012c'],
    [70000, '83011170'],
  ] as const)
    t.equal(
      element(0x04, Buffer.alloc(size))
        .subarray(1, 1 + length.length / 2)
        .toString('hex'),
      length,
    );
});
