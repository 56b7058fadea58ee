import { rmSync } from 'node:fs';
import { asWeaveError, type Datapath, HOST, isFileLimit, SWITCH, WeaveError } from '@weave/core';
import { Kernel, netnsId } from '@weave/native';
import { lockFile } from './lock.ts';

/**
 * The kernel of this machine, with the switch pinned at `switchPath`. WEAVE_ALREADY_RUNNING where another has that open:
 * to either, all that is the other's would be left over.
 */
export function kernelDatapath(switchPath: string): Datapath {
  const kernel = openKernel(switchPath);
  let unlock: (() => void) | undefined;
  try {
    unlock = lockFile(lockOf(switchPath));
    return datapathOver(kernel, switchPath, unlock);
  } catch (error) {
    unlock?.();
    kernel.close();
    throw error;
  }
}

const lockOf = (switchPath: string) => `${switchPath}.lock`;

function datapathOver(kernel: Kernel, switchPath: string, unlock: () => void): Datapath {
  // Held open from here on: neither becomes another.
  const known: Record<string, string> = { [HOST]: netnsId(HOST), [SWITCH]: netnsId(switchPath) };
  return {
    apply: (batches) => kernel.apply(batches as never),
    observe: (queries) => kernel.observe(queries as never),
    watch: (tell) => kernel.watch(tell),
    netnsId: (path) => {
      try {
        return known[path] ?? netnsId(path);
      } catch (error) {
        // Whether one is there cannot be told now: if it is said to be gone, its network is taken from it.
        if (isFileLimit(error)) throw asWeaveError(error);
        const { code, message } = error as { code?: string; message: string };
        if (code === 'ENOMEM' || code === 'EIO') throw new WeaveError('WEAVE_KERNEL', `${path}: ${message}`);
        return undefined;
      }
    },
    async destroy() {
      await kernel.destroy();
      rmSync(lockOf(switchPath), { force: true });
      unlock();
    },
    close: async () => {
      kernel.close();
      unlock();
    },
  };
}

function openKernel(switchPath: string): Kernel {
  try {
    return Kernel.open(switchPath);
  } catch (error) {
    if (isFileLimit(error)) throw asWeaveError(error);
    const { code, message } = error as { code?: string; message: string };
    const denied = code === 'EPERM' || code === 'EACCES';
    throw new WeaveError(
      denied ? 'WEAVE_PERMISSION_DENIED' : 'WEAVE_KERNEL_UNSUPPORTED',
      `cannot open the switch namespace ${switchPath}: ${message}`,
      { cause: error },
    );
  }
}
