import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { onTestFinished } from 'vitest';
import type { TracedMessage } from '../../src/index.js';

/** What was published on a tracing channel: which event, and the message as it was then. */
export interface TracedEvent<M> {
  readonly event: 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error';
  readonly message: M;
  /** The message itself, which is the same object from `start` to `asyncEnd`. */
  readonly identity: object;
}

/** Gathers all that is published on a tracing channel until the test ends. */
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

/** The messages of those that have ended, as they were at the end. */
export function ended<M>(events: readonly TracedEvent<M>[]): M[] {
  return events.filter(({ event }) => event === 'asyncEnd').map(({ message }) => message);
}

/** Gathers all messages of a channel until the test ends. */
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
