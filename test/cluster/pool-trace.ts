import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type {
  CheckoutMessage,
  ConnectMessage,
  EvictMessage,
  LostMessage,
  QueryMessage,
  ReconnectMessage,
  TracedMessage,
} from '../../src/index.js';

/** Milliseconds from which an operation is worth a line of the history. */
const LONG = 100;
/** The latest lines of a pool's history that its description contains. */
const LATEST = 20;

type Operation = 'query' | 'connect' | 'checkout';
type Traced = QueryMessage | ConnectMessage | CheckoutMessage;

interface Line {
  readonly at: number;
  readonly text: string;
}

/**
 * What the connections and the requests of a pool are doing, and what has become of them, by the diagnostics channels. A test that waits
 * for a pool in vain shows it.
 */
export class PoolTrace {
  readonly #pool: string;
  readonly #running = new Map<Traced, { readonly operation: Operation; readonly since: number }>();
  readonly #history: Line[] = [];
  readonly #subscriptions: [string, (message: unknown) => void][] = [];

  constructor(pool: string) {
    this.#pool = pool;
    for (const operation of ['query', 'connect', 'checkout'] as const) {
      this.#on<Traced>(`tracing:usingpg:${operation}:start`, (message) => {
        this.#running.set(message, { operation, since: performance.now() });
      });
      this.#on<Traced>(`tracing:usingpg:${operation}:asyncEnd`, (message) => {
        this.#ended(message);
      });
    }
    this.#on<EvictMessage>('usingpg:evict', ({ backendPid, reason }) => {
      this.#note(`${String(backendPid)} is closed: ${reason}`);
    });
    this.#on<LostMessage>('usingpg:lost', ({ backendPid, error }) => {
      this.#note(`${String(backendPid)} is lost: ${shown(error)}`);
    });
    this.#on<ReconnectMessage>('usingpg:reconnect', ({ error, delay }) => {
      this.#note(
        `no connection: ${shown(error)}; again after ${delay === null ? 'a request' : `${delay.toFixed(2)} s`}`,
      );
    });
  }

  /** Ends the recording. */
  stop(): void {
    for (const [channel, handler] of this.#subscriptions) unsubscribe(channel, handler);
  }

  /** What is going on, and what came before. */
  describe(): string {
    const now = performance.now();
    const running = Array.from(
      this.#running,
      ([message, { operation, since }]) => `for ${seconds(now - since)}: ${described(operation, message)}`,
    );
    return ['now:', ...running, 'before:', ...this.between(-Infinity, now).slice(-LATEST)].join('\n  ');
  }

  /** What happened between two moments, with the seconds since the first. */
  between(from: number, to: number): string[] {
    const zero = Number.isFinite(from) ? from : to;
    return this.#history
      .filter(({ at }) => at >= from && at <= to)
      .map(({ at, text }) => `${seconds(at - zero)}: ${text}`);
  }

  #on<M extends { readonly pool: string | null }>(channel: string, handler: (message: M) => void): void {
    const ofPool = (message: unknown): void => {
      if ((message as M).pool === this.#pool) handler(message as M);
    };
    subscribe(channel, ofPool);
    this.#subscriptions.push([channel, ofPool]);
  }

  #ended(message: Traced): void {
    const known = this.#running.get(message);
    this.#running.delete(message);
    if (known === undefined) return;
    const took = performance.now() - known.since;
    const { error } = message as TracedMessage;
    if (took < LONG && error === undefined) return;
    const outcome = error === undefined ? 'done' : shown(error);
    this.#note(`${described(known.operation, message)}: ${outcome}, after ${seconds(took)}`);
  }

  #note(text: string): void {
    this.#history.push({ at: performance.now(), text });
  }
}

function described(operation: Operation, message: Traced): string {
  const pid = message.backendPid === null ? '' : ` ${String(message.backendPid)}`;
  if (operation === 'checkout') return `a request for a connection${pid}`;
  const { host, port } = message as ConnectMessage;
  if (operation === 'connect') return `an attempt to connect, at last to ${host}:${String(port)}${pid}`;
  return `a statement on${pid} of port ${String(port)}: ${(message as QueryMessage).query.slice(0, 60)}`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

function shown(error: unknown): string {
  return String(error).slice(0, 300).replaceAll('\n', ' ');
}
