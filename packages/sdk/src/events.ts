import { EventEmitter, on } from 'node:events';
import type { WeaveEvent } from './weave.ts';

/** Hands every event to all who listen then. */
export function createEvents() {
  const emitter = new EventEmitter<{ event: [WeaveEvent]; end: [] }>();
  emitter.setMaxListeners(0);

  async function* unwrap(events: AsyncIterable<[WeaveEvent]>) {
    for await (const [event] of events) yield event;
  }

  return {
    emit: (event: WeaveEvent) => emitter.emit('event', event),
    /** Listens from now on, not from the first `next()`. */
    subscribe: (): AsyncIterableIterator<WeaveEvent> =>
      unwrap(on(emitter, 'event', { close: ['end'] }) as AsyncIterable<[WeaveEvent]>),
    end: () => emitter.emit('end'),
  };
}
