import { isIP } from 'node:net';
import { WeaveError } from '@weave/sdk/client';

/** A unix socket's path, or where to listen by TCP. */
export type ListenAddress = string | { host: string; port: number };

/** `ip:port`, `:port`, a path, or `off`; as in 2.8 with `tcp://` or `unix://` before it. WEAVE_INVALID_OPTION. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const bare = text.replace(/^(tcp|unix):\/\//, '');
  if (bare === '' || bare === 'off') return undefined;
  if (bare.startsWith('/')) return bare;
  const [, bracketed, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(bare) ?? [];
  const host = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain);
  const port = Number(digits);
  if (digits === undefined || port < 1 || port > 65535 || (host !== '' && !isIP(host)))
    throw new WeaveError('WEAVE_INVALID_OPTION', `${text} is no address to listen on`, {
      hint: 'Write it as 127.0.0.1:6784, as the path of a unix socket, or as off.',
    });
  return { host: host || '::', port };
}

export const addressText = (address: ListenAddress): string => {
  if (typeof address === 'string') return address;
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
};
