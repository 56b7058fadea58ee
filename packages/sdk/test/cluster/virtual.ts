import type { Timers } from '../../src/cluster/timers.ts';

/** Time that passes only when it is told to: one queue of events, in an order that a seed alone decides. */
export interface Virtual extends Timers {
  /** A whole number below what is asked for. */
  random(below: number): number;
  /** What does something after a latency: `least` to `most` milliseconds. */
  latency(least: number, most: number): (run: () => void) => void;
  /** Lets so many milliseconds pass. */
  pass(ms: number): Promise<void>;
  /** Lets time pass until something holds; answers whether it did within so many milliseconds. */
  until(holds: () => boolean | Promise<boolean>, ms: number, step?: number): Promise<boolean>;
  /** How many events there were. */
  readonly events: number;
}

interface Event {
  at: number;
  order: number;
  /** Undefined: it was taken back. */
  work: (() => void) | undefined;
}

export function virtualTime(seed: number): Virtual {
  const queue: Event[] = [];
  let now = 0;
  let order = 0;
  let events = 0;
  let state = (seed * 2654435761) >>> 0;

  function random(below: number): number {
    // xorshift: neighbouring seeds have nothing in common.
    state = state || 1;
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  }

  function at(time: number, work: () => void): Event {
    const event: Event = { at: time, order: order++, work };
    push(queue, event);
    return event;
  }

  async function pass(ms: number): Promise<void> {
    const end = now + ms;
    await quiet();
    while (queue.length > 0 && queue[0]!.at <= end) {
      now = queue[0]!.at;
      while (queue.length > 0 && queue[0]!.at <= now) {
        const { work } = pop(queue);
        if (!work) continue;
        events++;
        work();
      }
      await quiet();
    }
    now = end;
  }

  return {
    now: () => now,
    after(ms, work) {
      const event = at(now + ms, work);
      return () => {
        event.work = undefined;
      };
    },
    random,
    latency: (least, most) => (run) => void at(now + least + random((most - least) * 16) / 16, run),
    pass,
    async until(holds, ms, step = 50) {
      for (const end = now + ms; !(await holds()); await pass(step)) if (now >= end) return false;
      return true;
    },
    get events() {
      return events;
    },
  };
}

/** All that was promised has been kept, as far as it can be without time. */
const quiet = () => new Promise<void>((resolve) => setImmediate(resolve));

const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A heap: the first event is at its top. */
function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!isBefore(event, heap[above]!)) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event {
  const first = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
    if (!isBefore(heap[below]!, last)) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
  return first;
}
