import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import {
  addressBytes,
  bits,
  generalizedTime,
  integer,
  octets,
  oid,
  plain,
  sequence,
  serialNumber,
  set,
  tagged,
  text,
  truth,
  utcTime,
} from './der.ts';

/** A certificate and its private key, both PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const COMMON_NAME = '2.5.4.3';
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const EXTENSION = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};
const SERVER_AND_CLIENT = sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'));
/** keyCertSign and cRLSign; digitalSignature. */
const SIGNS_CERTIFICATES = bits(Buffer.from([0b0000_0110]), 1);
const SIGNS = bits(Buffer.from([0b1000_0000]), 7);

/**
 * From before any host's clock, and without an end: a host whose clock is wrong joins all the same, and no cluster stops
 * on an anniversary. A certificate ends with its cluster.
 */
const ALWAYS = sequence(utcTime('200101000000Z'), generalizedTime('99991231235959Z'));

/** An authority of a cluster's own. */
export function makeAuthority(clusterId: string): Identity {
  const name = `weave ${clusterId}`;
  const pair = newKeys();
  const extensions = [
    extension(EXTENSION.basicConstraints, sequence(truth(true), integer(Buffer.from([0]))), true),
    extension(EXTENSION.keyUsage, SIGNS_CERTIFICATES, true),
    extension(EXTENSION.subjectKey, octets(keyId(pair.publicKey))),
  ];
  return certificate({ subject: name, pair, issuer: name, signer: pair.privateKey, extensions });
}

export interface Subject {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Absent: a new one. */
  readonly key?: string | undefined;
}

/** For a host, as server and as client, under its name and at its addresses; signed by itself where there is no authority. */
export function makeIdentity({ name, addresses, key }: Subject, authority?: Identity): Identity {
  const pair = key ? { privateKey: createPrivateKey(key), publicKey: createPublicKey(key) } : newKeys();
  const signer = authority ? createPrivateKey(authority.key) : pair.privateKey;
  const extensions = [
    extension(EXTENSION.basicConstraints, sequence(), true),
    extension(EXTENSION.keyUsage, SIGNS, true),
    extension(EXTENSION.extendedKeyUsage, SERVER_AND_CLIENT),
    extension(EXTENSION.subjectKey, octets(keyId(pair.publicKey))),
    extension(EXTENSION.authorityKey, sequence(plain(0, keyId(createPublicKey(signer))))),
    extension(EXTENSION.subjectAltName, sequence(...[name, ...addresses].map(altName))),
  ];
  const issuer = authority ? commonName(authority.cert) : name;
  return certificate({ subject: name, pair, issuer, signer, extensions });
}

/** Whether a certificate is of this authority, for this key and with all of these addresses. */
export function covers({ cert, key }: Identity, { name, addresses }: Subject, authority: Identity): boolean {
  const read = new X509Certificate(cert);
  const says = (address: string) => (addressBytes(address) ? read.checkIP(address) : read.checkHost(address));
  const isOurs =
    read.verify(new X509Certificate(authority.cert).publicKey) && read.checkPrivateKey(createPrivateKey(key));
  return isOurs && [name, ...addresses].every(says);
}

interface Certificate {
  subject: string;
  issuer: string;
  pair: { publicKey: KeyObject; privateKey: KeyObject };
  signer: KeyObject;
  extensions: Buffer[];
}

function certificate({ subject, issuer, pair, signer, extensions }: Certificate): Identity {
  const toSign = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    ECDSA_SHA256,
    distinguished(issuer),
    ALWAYS,
    distinguished(subject),
    publicInfo(pair.publicKey),
    tagged(3, sequence(...extensions)),
  );
  const signed = sequence(toSign, ECDSA_SHA256, bits(sign('sha256', toSign, signer)));
  const lines = signed.toString('base64').match(/.{1,64}/g)!;
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicInfo = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
const keyId = (key: KeyObject) => createHash('sha1').update(publicInfo(key)).digest();
const distinguished = (name: string) => sequence(set(sequence(oid(COMMON_NAME), text(name))));
const commonName = (cert: string) => new X509Certificate(cert).subject.replace(/^CN=/, '');
const extension = (id: string, value: Buffer, critical = false) =>
  sequence(oid(id), ...(critical ? [truth(true)] : []), octets(value));

function altName(name: string): Buffer {
  const address = addressBytes(name);
  return address ? plain(7, address) : plain(2, Buffer.from(name));
}
