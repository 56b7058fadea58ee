import { type ServiceError, status } from '@grpc/grpc-js';
import { WeaveError } from '@weave/core';

/** What etcd says, in INVALID_ARGUMENT, to those whom it does not know. */
const STRANGER = /authentication failed|user name is empty|user name not found/;
/** What Node and OpenSSL say of the certificate that they were shown, and the other end of ours. */
const CERTIFICATE = /certificate|SSL alert/;

/** What a member without the others says at times, in UNKNOWN. */
const GAVE_UP = /^context (deadline exceeded|canceled)/;

const DENIED = new Set([status.PERMISSION_DENIED, status.UNAUTHENTICATED]);
const UNREACHABLE = new Set([
  ...[status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED, status.INTERNAL],
  // It has as much to do as it can, or no room; a lease that expired just now; a member that is not yet up to date.
  ...[status.RESOURCE_EXHAUSTED, status.NOT_FOUND, status.OUT_OF_RANGE, status.FAILED_PRECONDITION],
]);

/** What an etcd, or the way to it, fails with, as an error of ours. */
export function asFailure(error: ServiceError, endpoint: string): WeaveError {
  const { code } = error;
  const details = plain(error.details);
  const isDenied =
    DENIED.has(code) ||
    (code === status.INVALID_ARGUMENT && STRANGER.test(details)) ||
    (code === status.UNAVAILABLE && CERTIFICATE.test(details));
  if (isDenied) return new WeaveError('WEAVE_DIRECTORY_DENIED', `etcd at ${endpoint}: ${details}`, { cause: error });
  const isUnreachable = UNREACHABLE.has(code) || (code === status.UNKNOWN && GAVE_UP.test(details));
  const known = isUnreachable ? 'WEAVE_DIRECTORY_UNREACHABLE' : 'WEAVE_BUG';
  return new WeaveError(known, `etcd at ${endpoint}: ${details}`, { cause: error });
}

/** Without what grpc-js puts around the reason. */
const plain = (details: string) =>
  details
    .replace(/^No connection established\. Last error: (Error: |[0-9A-F]+:error:)?/, '')
    .replace(/\s*(\(\S+Z\))?\. Resolution note:.*$/s, '');

const causeOf = (error: unknown) => (error as { cause?: Partial<ServiceError> }).cause;

/** The revision that was asked for is not kept any more. */
export const isCompacted = (error: unknown): boolean =>
  causeOf(error)?.code === status.OUT_OF_RANGE && /compacted/.test(causeOf(error)?.details ?? '');

/** Nothing was done: our token, or our lease, is not known any more. With new ones it can be asked again. */
export const isOutdated = (error: unknown): boolean =>
  causeOf(error)?.code === status.UNAUTHENTICATED ||
  /requested lease not found|revision of auth store is old/.test(causeOf(error)?.details ?? '');

/** It has no users: nothing has to be proven. */
export const needsNoUser = (error: unknown): boolean =>
  /authentication is not enabled/.test(causeOf(error)?.details ?? '');
