import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { onTestFinished } from 'vitest';
import type { TracedMessage } from '../../src/index.js';

/** An event of a tracing channel, with a copy of its message at that time. */
export interface TracedEvent<M> {
  readonly event: 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error';
  readonly message: M;
  /** The message itself, which is the same object from `start` to `asyncEnd`. */
  readonly identity: object;
}

/** Collects all events of a tracing channel until the test ends. */
export function traced<M extends TracedMessage>(name: string): TracedEvent<M>[] {
  const events: TracedEvent<M>[] = [];
  const gather = (event: TracedEvent<M>['event']) => (message: object) => {
    events.push({ event, message: { ...(message as M) }, identity: message });
  };
  const handlers = {
    start: gather('start'),
    end: gather('end'),
    asyncStart: gather('asyncStart'),
    asyncEnd: gather('asyncEnd'),
    error: gather('error'),
  };
  const channel = tracingChannel(name);
  channel.subscribe(handlers);
  onTestFinished(() => {
    channel.unsubscribe(handlers);
  });
  return events;
}

/** The final messages of operations that have ended. */
export function ended<M>(events: readonly TracedEvent<M>[]): M[] {
  return events.filter(({ event }) => event === 'asyncEnd').map(({ message }) => message);
}

/** Collects all messages of a channel until the test ends. */
export function heard<M>(name: string): M[] {
  const messages: M[] = [];
  const gather = (message: unknown): void => {
    messages.push(message as M);
  };
  subscribe(name, gather);
  onTestFinished(() => {
    unsubscribe(name, gather);
  });
  return messages;
}
