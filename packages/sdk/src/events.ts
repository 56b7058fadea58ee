import { EventEmitter, on } from 'node:events';
import type { WeaveEvent } from './weave.ts';

/** Hands every event to all who listen then. */
export function createEvents() {
  const emitter = new EventEmitter<{ event: [WeaveEvent]; end: []; error: [Error] }>();
  emitter.setMaxListeners(0);
  return {
    emit: (event: WeaveEvent) => emitter.emit('event', event),
    /** Listens from now on, not from the first `next()`. */
    subscribe: () => unwrapped(on(emitter, 'event', { close: ['end'] }) as AsyncIterator<[WeaveEvent]>),
    /** Those who listen get what came before, and then no more. */
    end: () => emitter.emit('end'),
    fail: (error: Error) => emitter.emit('error', error),
  };
}

export interface Events extends AsyncIterableIterator<WeaveEvent> {
  return(): Promise<IteratorResult<WeaveEvent>>;
}

/** No generator: its `return()` would wait for the `next()` that is under way, and so for an event. */
function unwrapped(events: AsyncIterator<[WeaveEvent]>): Events {
  const over = { done: true, value: undefined } as const;
  return {
    async next() {
      const { done, value } = await events.next();
      return done ? over : { done: false, value: value[0] };
    },
    async return() {
      await events.return?.();
      return over;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
