import type { Notify } from './connection/notifies.js';
import { channels as diagnostics, type GapMessage } from './diagnostics.js';
import { callSite, continuedStack } from './errors/callers-stack.js';
import * as errors from './errors/index.js';
import { SIGNAL } from './options/kinds.js';
import { KnownOptions } from './options/known-options.js';
import { quoteIdentifier } from './query/identifier.js';
import { Fifo } from './queues.js';
import { onAbort, pause, waitFor } from './waiting.js';
import { MAY_LAST } from './pool/checkouts.js';

/** Options of a `Listener`. */
export interface ListenerOptions {
  /** Ends the listener when it is aborted; the loop then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Interval, in seconds, at which the connection must answer a query; each answer may take as long again. A silent connection is
   * detected after twice this time at most. @default 5
   */
  keepalive?: number | undefined;
}

/**
 * An event of a `Listener`: a notification, or a `gap`. A gap means that the connection was lost and has been replaced.
 * Notifications sent after `since` and before the gap may have been missed; from the gap on they are complete again.
 */
export type ListenerEvent =
  | {
      readonly type: 'notify';
      /** The notification's channel. */
      readonly channel: string;
      /** The notification's text; empty if it has none. */
      readonly payload: string;
      /** The process id of the backend that sent it. */
      readonly pid: number;
    }
  | {
      readonly type: 'gap';
      /** When the lost connection was last known to work. */
      readonly since: Date;
      /** The error that ended the connection. */
      readonly error: unknown;
    };

type Gap = Extract<ListenerEvent, { type: 'gap' }>;

/** The methods of a connection that a listener uses. */
export interface ListenerConnection extends AsyncDisposable {
  readonly closed: boolean;
  setAutocommit(value: boolean): Promise<void>;
  execute(query: string): Promise<unknown>;
  notifies(options: { signal: AbortSignal }): AsyncGenerator<Notify>;
  close(): Promise<void>;
}

/** The methods of a pool that a listener uses; an `AsyncConnectionPool` with any type of rows has them. */
export interface ListenerPool {
  readonly name?: string;
  connection(options: { signal: AbortSignal; [MAY_LAST]?: boolean }): Promise<ListenerConnection>;
}

const DEFAULT_KEEPALIVE = 5;

const OPTIONS = new KnownOptions<ListenerOptions>('new Listener(pool, channels, options)', {
  signal: SIGNAL,
  keepalive: {
    what: 'a number of seconds above 0',
    is: (value) => typeof value === 'number' && value > 0 && value <= LONGEST_TIMER,
  },
});

/**
 * Listens to channels on a connection of a pool, for as long as it is iterated over. If the connection is lost or falls silent,
 * the listener takes another one and listens again. It then yields a `gap` first, upon which the user looks for what the missed
 * notifications would have reported. Only one loop is possible. Leaving the loop, aborting the `signal` or `close()` ends
 * listening and returns the connection.
 *
 * Events wait in memory, without a limit, until the loop fetches them.
 *
 * @example
 * for await (const event of new Listener(pool, ['jobs'])) {
 *   if (event.type === 'gap') await lookForJobs();
 *   else await runJob(event.payload);
 * }
 */
export class Listener implements AsyncIterable<ListenerEvent>, AsyncDisposable {
  /** The channels that the listener listens to. */
  readonly channels: readonly string[];
  /** Seconds between two checks of the connection. */
  readonly keepalive: number;

  readonly #pool: ListenerPool;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();

  readonly #events = new Fifo<ListenerEvent>();
  #wake: (() => void) | null = null;
  #looping = false;
  #listening: Promise<void> | null = null;
  #work: Promise<void> = Promise.resolve();
  /** How the listener ended; the error is null after `close()`. */
  #end: { readonly error: Error | null } | null = null;

  /** When the connection was last known to work. */
  #alive = new Date();

  /** Raises `ProgrammingError` for invalid channels or options. The listener takes no connection before `listen()` or the loop. */
  constructor(pool: ListenerPool, channels: string | readonly string[], options: ListenerOptions = {}) {
    const names: unknown = typeof channels === 'string' ? [channels] : channels;
    if (!Array.isArray(names) || names.length === 0) {
      throw new errors.ProgrammingError('a Listener needs the name of one channel, or an array of names');
    }
    OPTIONS.check(options);
    const { keepalive = DEFAULT_KEEPALIVE, signal } = options;
    this.#pool = pool;
    this.channels = [...new Set(names.map(checkChannel))];
    this.keepalive = keepalive;
    this.#signal = signal;
  }

  /**
   * Begins to listen. Resolves once the server has confirmed it; later notifications are not missed. The loop calls this itself.
   * Rejects with the error that prevented the first LISTEN, and with `InterfaceError` if the listener is closed.
   */
  listen(): Promise<void> {
    if (this.#listening === null) {
      const call = callSite(Listener.prototype, 'listen');
      this.#listening = this.#begin().catch((error: unknown) => {
        throw continuedStack(error, call);
      });
      // A caller that does not await the promise gets the error in the loop.
      this.#listening.catch(() => undefined);
    }
    return this.#listening;
  }

  /**
   * Yields the events. Raises `ProgrammingError` for a second loop at the same time, `InterfaceError` if the listener is closed.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ListenerEvent, void, void> {
    if (this.#looping) {
      throw new errors.ProgrammingError(
        'the Listener already has a loop: each event would reach only one of the two; use one loop',
      );
    }
    this.#looping = true;
    try {
      await this.listen();
      for (;;) {
        this.#signal?.throwIfAborted();
        const event = this.#events.shift();
        if (event !== undefined) {
          yield event;
        } else if (this.#end !== null) {
          if (this.#end.error !== null) throw this.#end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } catch (error) {
      throw continuedStack(error);
    } finally {
      this.#looping = false;
      await this.close();
    }
  }

  /**
   * Ends the listener: it stops listening and returns its connection to the pool. A waiting loop ends after it has yielded the
   * events received so far.
   */
  async close(): Promise<void> {
    this.#finish(null);
    await this.#work;
  }

  /** Leaving the scope closes the listener. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- the successive connections

  #begin(): Promise<void> {
    const signal = this.#signal;
    if (signal?.aborted === true) this.#finish(signal.reason as Error);
    if (this.#end !== null) {
      return Promise.reject(
        this.#end.error ?? new errors.InterfaceError('the Listener has been closed; make another'),
      );
    }
    const off =
      signal === undefined
        ? null
        : onAbort(signal, () => {
            this.#finish(signal.reason as Error);
          });
    return new Promise((resolve, reject) => {
      this.#work = this.#run(resolve)
        .catch((error: unknown) => {
          this.#finish(error as Error);
        })
        .then(() => {
          off?.();
          // Without effect if the listener has listened before.
          reject(
            this.#end?.error ?? new errors.InterfaceError('the Listener was closed before it could listen'),
          );
        });
    });
  }

  /** Listens on one connection after another until the listener ends. Rejects with an error that ends it for another reason. */
  async #run(listening: () => void): Promise<void> {
    const { signal } = this.#stop;
    let hasListened = false;
    let gap: Gap | null = null;
    let attempts = 0;
    while (!signal.aborted) {
      try {
        // A listener keeps its connection for its whole life, which is no leak.
        const connection = await this.#pool.connection({ signal, [MAY_LAST]: true });
        await listenOn(connection, this.channels, {
          keepalive: this.keepalive,
          signal,
          listening: () => {
            hasListened = true;
            attempts = 0;
            listening();
            if (gap !== null) this.#tellGap(gap);
            gap = null;
          },
          alive: (at) => {
            this.#alive = at;
          },
          notified: ({ channel, payload, pid }) => {
            this.#push({ type: 'notify', channel, payload, pid });
          },
        });
      } catch (error) {
        if (isAborted(signal)) return;
        if (!hasListened || error instanceof errors.PoolClosed) throw error;
        gap ??= { type: 'gap', since: this.#alive, error };
        // The pool itself limits the attempts to connect.
        const seconds = Math.min(FIRST_PAUSE * 2 ** attempts++, LONGEST_PAUSE);
        await pause(seconds, { signal }).catch(() => undefined);
      }
    }
  }

  // --- the events

  #tellGap(gap: Gap): void {
    const { since, error } = gap;
    const message: GapMessage = { pool: this.#pool.name ?? null, channels: this.channels, since, error };
    diagnostics.gap.publish(message);
    this.#push(gap);
  }

  #push(event: ListenerEvent): void {
    this.#events.push(event);
    this.#wakeUp();
  }

  #finish(error: Error | null): void {
    this.#end ??= { error };
    this.#stop.abort();
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** Options and callbacks of `listenOn()`. */
interface ListeningOptions {
  /** Interval, in seconds, at which the connection must answer; each answer may take as long again. */
  readonly keepalive: number;
  /** Ends listening. */
  readonly signal: AbortSignal;
  /** LISTEN is confirmed; later notifications are reported. */
  listening(): void;
  /** The connection was known to work at this time. */
  alive(at: Date): void;
  notified(notify: Notify): void;
}

/**
 * Listens on a connection of a pool until `signal` is aborted. Rejects if the connection is lost or silent. Stops listening and
 * returns the connection in either case.
 */
async function listenOn(
  connection: ListenerConnection,
  channels: readonly string[],
  options: ListeningOptions,
): Promise<void> {
  const { keepalive, signal } = options;
  /** Executes a statement with a limit on the time for its answer. */
  const answered = (statement: string): Promise<unknown> =>
    waitFor(connection.execute(statement), {
      seconds: keepalive,
      late: () => {
        throw new errors.OperationalError(
          `the listener's connection has not answered within ${String(keepalive)} seconds`,
        );
      },
    });
  // One statement for all channels, so that they begin and end together.
  const forEach = (verb: 'LISTEN' | 'UNLISTEN'): Promise<unknown> =>
    answered(channels.map((channel) => `${verb} ${quoteIdentifier(channel)}`).join('; '));

  const over = new AbortController();
  const off = onAbort(signal, () => {
    over.abort(signal.reason);
  });
  let isSilent = false;
  const keepAsking = async (): Promise<void> => {
    try {
      for (;;) {
        await pause(keepalive, { signal: over.signal });
        const asked = new Date();
        await answered('');
        options.alive(asked);
      }
    } catch (error) {
      isSilent = !over.signal.aborted;
      over.abort(error);
    }
  };
  try {
    await connection.setAutocommit(true);
    const begun = new Date();
    await forEach('LISTEN');
    options.alive(begun);
    options.listening();
    void keepAsking();
    for await (const notify of connection.notifies({ signal: over.signal })) {
      // An earlier borrower may have left the connection listening to other channels.
      if (channels.includes(notify.channel)) options.notified(notify);
    }
  } finally {
    over.abort();
    off();
    if (!isSilent && !connection.closed) {
      // If UNLISTEN fails, the connection may still listen, so the pool must not lend it out again.
      await forEach('UNLISTEN').catch(() => connection.close());
    }
    const returned = connection[Symbol.asyncDispose]();
    // The session discards a connection that does not answer, so its return need not be awaited.
    if (!isSilent) await returned;
  }
}

/** Whether the signal is aborted. A function, since TypeScript assumes that the property cannot change during the call. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Seconds before the first attempt to listen again, and the maximum before a later one. */
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 10;
/** The longest delay of Node's timers, in seconds. */
const LONGEST_TIMER = 2_147_483;
/** Bytes of a channel's name; LISTEN truncates a longer name and NOTIFY rejects it. */
const LONGEST_NAME = 63;

function checkChannel(channel: unknown): string {
  let problem: string | null = null;
  try {
    quoteIdentifier(channel);
    if (Buffer.byteLength(channel as string) > LONGEST_NAME) {
      problem = `it has more than ${String(LONGEST_NAME)} bytes`;
    }
  } catch (error) {
    problem = (error as Error).message;
  }
  if (problem === null) return channel as string;
  throw new errors.ProgrammingError(`a channel can't have the name "${String(channel)}": ${problem}`);
}
