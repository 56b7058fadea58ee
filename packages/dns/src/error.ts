import { WeaveError } from '@weave/sdk';

/** What the server said no to, as an error of ours. */
export function dnsError(error: unknown): WeaveError {
  const { code, message } = error as { code?: string; message: string };
  const options = { cause: error };
  if (code === 'EINVAL') return new WeaveError(fieldAtFault(message), message, options);
  // napi's own word: a field is missing, or of another type.
  if (code === 'InvalidArg' || code?.endsWith('Expected'))
    return new WeaveError('WEAVE_INVALID_REQUEST', message, options);
  if (code === 'EADDRINUSE') return new WeaveError('WEAVE_DNS_ADDRESS_IN_USE', message, options);
  if (code === 'ENOENT') return new WeaveError('WEAVE_NETNS_NOT_FOUND', message, options);
  if (code === 'EPERM' || code === 'EACCES') return new WeaveError('WEAVE_PERMISSION_DENIED', message, options);
  return new WeaveError('WEAVE_KERNEL', message, options);
}

function fieldAtFault(message: string) {
  if (message.startsWith('subnets')) return 'WEAVE_INVALID_SUBNET';
  return message.startsWith('address') ? 'WEAVE_INVALID_ADDRESS' : 'WEAVE_INVALID_NAME';
}
