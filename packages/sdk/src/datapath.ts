import { type Datapath, HOST, SWITCH, WeaveError } from '@weave/core';
import { Kernel, netnsId } from '@weave/native';

/** The kernel of this machine, with the switch pinned at `switchPath`. */
export function kernelDatapath(switchPath: string): Datapath {
  const kernel = openKernel(switchPath);
  // Held open from here on: neither becomes another.
  const known: Record<string, string> = { [HOST]: netnsId(HOST), [SWITCH]: netnsId(switchPath) };
  return {
    apply: (batches) => kernel.apply(batches as never),
    observe: (queries) => kernel.observe(queries as never),
    watch: (tell) => kernel.watch(tell),
    netnsId: (path) => {
      try {
        return known[path] ?? netnsId(path);
      } catch {
        return undefined;
      }
    },
    destroy: () => kernel.destroy(),
    close: async () => kernel.close(),
  };
}

function openKernel(switchPath: string): Kernel {
  try {
    return Kernel.open(switchPath);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const denied = code === 'EPERM' || code === 'EACCES';
    throw new WeaveError(
      denied ? 'WEAVE_PERMISSION_DENIED' : 'WEAVE_KERNEL_UNSUPPORTED',
      `cannot open the switch namespace ${switchPath}: ${message}`,
      { cause: error },
    );
  }
}
