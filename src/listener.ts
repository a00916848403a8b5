import type { Notify } from './connection/notifies.js';
import { channels as diagnostics, type GapMessage } from './diagnostics.js';
import { callSite, continuedStack } from './errors/callers-stack.js';
import * as errors from './errors/index.js';
import { quoteIdentifier } from './query/identifier.js';
import { onAbort, pause, waitFor } from './waiting.js';
import { MAY_LAST } from './pool/checkouts.js';

/** Options of a `Listener`. */
export interface ListenerOptions {
  /** Ends the listener when it is aborted; its loop rejects with the reason. */
  signal?: AbortSignal | undefined;
  /**
   * Every so many seconds the connection has to answer, within as many again: a connection that has fallen silent is noticed
   * after twice that time at most. @default 5
   */
  keepalive?: number | undefined;
}

/**
 * What a `Listener` gives: a notification, or a `gap`. A gap says that the connection was lost and is there again: what was
 * notified after `since` may have been missed, what comes after the gap is complete again.
 */
export type ListenerEvent =
  | {
      readonly type: 'notify';
      /** The channel it was sent to. */
      readonly channel: string;
      /** The text sent along; empty if there was none. */
      readonly payload: string;
      /** The process id of the backend that sent it. */
      readonly pid: number;
    }
  | {
      readonly type: 'gap';
      /** When the lost connection was last known to work. */
      readonly since: Date;
      /** How the connection was lost. */
      readonly error: unknown;
    };

type Gap = Extract<ListenerEvent, { type: 'gap' }>;

/** The part of a connection that a listener uses. */
export interface ListenerConnection extends AsyncDisposable {
  readonly closed: boolean;
  setAutocommit(value: boolean): Promise<void>;
  execute(query: string): Promise<unknown>;
  notifies(options: { signal: AbortSignal }): AsyncGenerator<Notify>;
  close(): Promise<void>;
}

/** The part of a pool that a listener uses: any `AsyncConnectionPool` will do, whatever its rows are. */
export interface ListenerPool {
  readonly name?: string;
  connection(options: { signal: AbortSignal; [MAY_LAST]?: boolean }): Promise<ListenerConnection>;
}

const DEFAULT_KEEPALIVE = 5;

/**
 * Listens to channels on a connection of a pool, for as long as it is iterated over, whatever becomes of the connection: if it is
 * lost, or falls silent, the listener takes another one and listens again. Before anything that comes after the loss it gives a
 * `gap`, on which its user looks up what the notifications would have told. One loop is possible; leaving it, aborting the
 * `signal` or `close()` gives the connection back, listening no more.
 *
 * Events that no loop fetches wait in memory.
 *
 * @example
 * for await (const event of new Listener(pool, ['jobs'])) {
 *   if (event.type === 'gap') await lookForJobs();
 *   else await runJob(event.payload);
 * }
 */
export class Listener implements AsyncIterable<ListenerEvent>, AsyncDisposable {
  /** The channels listened to. */
  readonly channels: readonly string[];
  /** Seconds between two questions whether the connection is alive. */
  readonly keepalive: number;

  readonly #pool: ListenerPool;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();

  #events: ListenerEvent[] = [];
  #wake: (() => void) | null = null;
  #looping = false;
  #listening: Promise<void> | null = null;
  #work: Promise<void> = Promise.resolve();
  /** The end of the listener, with its error; the error is null if it was closed. */
  #end: { readonly error: Error | null } | null = null;

  /** When the connection last worked. */
  #alive = new Date();

  /** Raises `ProgrammingError` for channels or options that can't be. Nothing happens before `listen()`, or the loop. */
  constructor(pool: ListenerPool, channels: string | readonly string[], options: ListenerOptions = {}) {
    const names: unknown = typeof channels === 'string' ? [channels] : channels;
    if (!Array.isArray(names) || names.length === 0) {
      throw new errors.ProgrammingError('a Listener needs the name of one channel, or an array of names');
    }
    const { keepalive = DEFAULT_KEEPALIVE, signal } = options;
    if (!(typeof keepalive === 'number' && keepalive > 0 && keepalive <= LONGEST_TIMER)) {
      throw new errors.ProgrammingError(
        `expected \`keepalive\` to be a number of seconds above 0, got ${String(keepalive)}`,
      );
    }
    this.#pool = pool;
    this.channels = [...new Set(names.map(checkChannel))];
    this.keepalive = keepalive;
    this.#signal = signal;
  }

  /**
   * Begins to listen. Resolves when the server has confirmed it: what is notified from here on is not missed. The loop does this by
   * itself. Rejects with what keeps it from listening for the first time, `InterfaceError` if the listener is closed.
   */
  listen(): Promise<void> {
    if (this.#listening === null) {
      const call = callSite(Listener.prototype, 'listen');
      this.#listening = this.#begin().catch((error: unknown) => {
        throw continuedStack(error, call);
      });
      // A caller that does not await it gets the error in the loop.
      this.#listening.catch(() => undefined);
    }
    return this.#listening;
  }

  /** The events. Raises `ProgrammingError` for a second loop at the same time, `InterfaceError` if the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ListenerEvent, void, void> {
    if (this.#looping) {
      throw new errors.ProgrammingError(
        'the Listener is being iterated over already: each event would go to one of the loops only; use one loop',
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
   * Ends the listener: it listens no more, and its connection goes back to the pool. A loop that waits ends when it has given
   * what has arrived.
   */
  async close(): Promise<void> {
    this.#finish(null);
    await this.#work;
  }

  /** Leaving the scope closes the listener. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- inside: the connections, one after the other

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
          // If it has listened before, this rejection has no effect.
          reject(
            this.#end?.error ?? new errors.InterfaceError('the Listener was closed before it could listen'),
          );
        });
    });
  }

  /** Listens on one connection after the other until it is stopped. Rejects with what ends it otherwise. */
  async #run(listening: () => void): Promise<void> {
    const { signal } = this.#stop;
    let hasListened = false;
    let gap: Gap | null = null;
    let attempts = 0;
    while (!signal.aborted) {
      try {
        // A listener holds its connection for as long as it lives, which is no leak.
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
        // The pool limits the attempts to connect by itself.
        const seconds = Math.min(FIRST_PAUSE * 2 ** attempts++, LONGEST_PAUSE);
        await pause(seconds, { signal }).catch(() => undefined);
      }
    }
  }

  // --- inside: the events

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

/** How to listen on a connection, and the callbacks for what happens there. */
interface ListeningOptions {
  /** Every so many seconds the connection has to answer, within as many again. */
  readonly keepalive: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** It listens: what is notified from here on is told. */
  listening(): void;
  /** The connection was known to work at this time. */
  alive(at: Date): void;
  notified(notify: Notify): void;
}

/**
 * Listens on a connection of a pool until `signal` is aborted, or the connection is lost or silent: then it rejects. Gives the
 * connection back, listening no more.
 */
async function listenOn(
  connection: ListenerConnection,
  channels: readonly string[],
  options: ListeningOptions,
): Promise<void> {
  const { keepalive, signal } = options;
  /** Executes a statement, whose answer has to come in time. */
  const answered = (statement: string): Promise<unknown> =>
    waitFor(connection.execute(statement), {
      seconds: keepalive,
      late: () => {
        throw new errors.OperationalError(
          `the listener's connection has not answered within ${String(keepalive)} seconds`,
        );
      },
    });
  // One statement for all, so that they begin and end at the same time.
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
      // An earlier user of the connection may have left it listening to other channels.
      if (channels.includes(notify.channel)) options.notified(notify);
    }
  } finally {
    over.abort();
    off();
    if (!isSilent && !connection.closed) {
      // Listening or not, a connection that fails here must not be lent out again.
      await forEach('UNLISTEN').catch(() => connection.close());
    }
    const returned = connection[Symbol.asyncDispose]();
    // The session gives up a connection that does not answer; its return need not be awaited.
    if (!isSilent) await returned;
  }
}

/** Whether it has been aborted meanwhile, which the compiler does not expect. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Seconds before the first attempt to listen again, and before any other at most. */
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 10;
/** Seconds that Node's timers can count. */
const LONGEST_TIMER = 2_147_483;
/** Bytes of a channel's name: what is longer, LISTEN cuts off and NOTIFY refuses. */
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
