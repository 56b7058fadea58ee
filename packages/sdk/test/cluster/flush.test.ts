import { test } from 'tap';
import type { Context } from '../../src/cluster/context.ts';
import { createFlush } from '../../src/cluster/flush.ts';

/** In step with its directory. */
const context = () =>
  ({
    reachable: true,
    fence: 1,
    host: { log: () => undefined },
    timers: { after: () => () => undefined },
  }) as unknown as Context;

test('what is noted while it is written is written, at whatever moment', async (t) => {
  // Microtasks between the writer's last look and the note.
  for (const late of [0, 1, 2, 3]) {
    const dirty = new Set(['first']);
    const flush = createFlush(context(), 'things', async () => {
      while (dirty.size > 0) {
        await undefined;
        dirty.clear();
      }
      void later();
    });
    async function later(): Promise<void> {
      if (noted) return;
      noted = true;
      for (let i = 0; i < late; i++) await undefined;
      dirty.add('second');
      flush.now();
    }
    let noted = false;
    flush.now();
    await new Promise((over) => setImmediate(over));
    t.same([...dirty], [], `${late} microtasks after the last look`);
  }
});
