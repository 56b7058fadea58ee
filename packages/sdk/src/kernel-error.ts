import { type Failure, isFileLimit, WeaveError } from '@weave/core';

/** The kernel's errno as an error of ours: the one place where they meet. */
export function kernelError(failure: Failure): WeaveError {
  const { code, op, link, netns, message } = failure;
  const what = `${op}${link ? ` ${link}` : ''}${netns ? ` in ${netns}` : ''}: ${message} (${code})`;
  if (isFileLimit(failure)) return new WeaveError('WEAVE_TOO_MANY_FILES', what, { cause: failure });
  if (code === 'EPERM' || code === 'EACCES') return new WeaveError('WEAVE_PERMISSION_DENIED', what, { cause: failure });
  if (code === 'ENOENT' && netns?.startsWith('/'))
    return new WeaveError('WEAVE_NETNS_NOT_FOUND', `${netns} is gone`, { cause: failure });
  if (code === 'EEXIST' && op === 'addVeth')
    return new WeaveError('WEAVE_LINK_EXISTS', `there is an interface ${link} already${netns ? ` in ${netns}` : ''}`, {
      cause: failure,
    });
  if (code === 'EOPNOTSUPP') return new WeaveError('WEAVE_KERNEL_UNSUPPORTED', what, { cause: failure });
  return new WeaveError('WEAVE_KERNEL', what, { cause: failure });
}
