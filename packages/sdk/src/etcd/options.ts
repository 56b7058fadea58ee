export interface EtcdOptions {
  /** host:port of its members, or of some. */
  endpoints: readonly string[];
  /** It speaks TLS. Certificates and keys are PEM texts. */
  tls?: {
    /** Who vouches for it; by default whom this system trusts. */
    ca?: string;
    /** Who we are, where it wants to know. */
    cert?: string;
    key?: string;
  };
  user?: { name: string; password: string };
  /** What all keys begin with, before what they are called in the directory. */
  prefix?: string;
}
