import { channel, tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import type { Diagnostic } from './errors/index.js';

// --- what is traced: the messages of tracing channels, whose object is the same from `start` to `asyncEnd`

/** What the message of every tracing channel has. */
export interface TracedMessage {
  /** How long it took, in seconds; null until it has ended. */
  seconds: number | null;
  /** What it failed with, which is what the caller gets; undefined unless it has failed. */
  error: unknown;
  /** The SQLSTATE of `error`; null if it has none. */
  sqlstate: string | null;
}

/** What the message of a trace begins with. */
export const NOT_ENDED: TracedMessage = Object.freeze({ seconds: null, error: undefined, sqlstate: null });

/** The connection that a message is about. */
export interface ConnectionMessage {
  /** The name of the connection's pool; null without a pool. */
  readonly pool: string | null;
  /** The host's name, or the directory of the unix socket. */
  readonly host: string;
  /** The port of `host`. */
  readonly port: number;
  /** The name of the database. */
  readonly dbname: string;
  /** The role that signed in. */
  readonly user: string;
  /** The process id of the backend. */
  readonly backendPid: number;
}

/** A connection is being made: `usingpg:connect`. */
export interface ConnectMessage extends TracedMessage {
  /** The name of the pool that it is made for; null without a pool. */
  readonly pool: string | null;
  /** The first host to be tried, or the directory of a unix socket; at the end the one that was connected to. */
  host: string;
  /** The port of `host`. */
  port: number;
  /** The name of the database. */
  readonly dbname: string;
  /** The role that signs in. */
  readonly user: string;
  /** The process id of the backend; null until it is connected. */
  backendPid: number | null;
}

/** A connection is asked of a pool: `usingpg:checkout`. */
export interface CheckoutMessage extends TracedMessage {
  /** The pool's name. */
  readonly pool: string;
  /** For how long it may be waited, in seconds. */
  readonly timeout: number;
  /** Whether it has to be waited for: none was idle, or it is checked first. */
  waited: boolean;
  /** The process id of the backend of the connection; null until there is one. */
  backendPid: number | null;
}

/**
 * How a statement is executed: 'statement' by itself, 'batch' for several executions of one text (`executemany()`), 'stream' and
 * 'copy' for as long as the rows, the data, go on; 'portal' if a server-side cursor is described or closed.
 */
export type QueryKind = 'statement' | 'batch' | 'stream' | 'copy' | 'portal';

/** A statement is executed, from when it is handed over, so with its wait for those before it: `usingpg:query`. */
export interface QueryMessage extends TracedMessage, ConnectionMessage {
  /** The text with `$1` … for the parameters, never with their values, be it the client that binds them. */
  readonly query: string;
  /** The first word of the text in upper case, such as `SELECT`; null if there is none. */
  readonly operation: string | null;
  /** How it is executed. */
  readonly kind: QueryKind;
  /** How many executions it stands for. */
  readonly batchSize: number;
  /** The tag of the last command, such as `INSERT 0 1`; null until the end, and if nothing was executed. */
  tag: string | null;
  /** How many rows were returned or affected, all results together; null if the commands count none. */
  rowcount: number | null;
}

// --- what is told

/** A connection came back to its pool, or was closed, with uncommitted writes: `usingpg:uncommitted`. */
export interface UncommittedMessage {
  /** The pool's name; null for a connection without one. */
  readonly pool: string | null;
  /** The process id of the backend. */
  readonly backendPid: number;
}

/** A connection was given back to its pool, which lends it on or ends it: `usingpg:return`. */
export interface ReturnMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The process id of the backend. */
  readonly backendPid: number;
  /** How long it was lent out, its rollback included, in seconds. */
  readonly seconds: number;
}

/**
 * A connection has been lent out for longer than the pool's `leakThreshold`, or was garbage-collected while it was lent out:
 * `usingpg:leak`; what was reported there has come back: `usingpg:leak-returned`.
 */
export interface LeakMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The process id of the backend. */
  readonly backendPid: number;
  /** How long it has been lent out, in seconds. */
  readonly seconds: number;
  /** The stack of the call that took it; null if `leakThreshold` is off. */
  readonly stack: string | null;
  /** Whether it was garbage-collected, in which case the pool has taken it back. */
  readonly collected: boolean;
}

/** A transaction of `pool.withTransaction()` failed by no fault of its own, and is run again: `usingpg:retry`. */
export interface RetryMessage {
  /** The pool's name. */
  readonly pool: string;
  /** What it failed with: `SerializationFailure` or `DeadlockDetected`. */
  readonly error: unknown;
  /** Which retry this is; 1 for the first. */
  readonly retry: number;
  /** When it is run again, in seconds. */
  readonly delay: number;
}

/**
 * Why a pool ends a connection: it was 'lost', or closed by its borrower, 'unusable' when it came back (not to be rolled back,
 * `reset` failed, taken away at the end of `close()`), did not pass a 'check', has reached `maxLifetime`, was 'idle' for `maxIdle`, is older than the last
 * `drain()` ('drained'), one too many ('surplus'), or without anybody to want it in a pool that keeps none ('unneeded'); or the
 * pool was 'closed'.
 */
export type EvictReason =
  'lost' | 'unusable' | 'check' | 'lifetime' | 'idle' | 'drained' | 'surplus' | 'unneeded' | 'closed';

/** A pool ends one of its connections: `usingpg:evict`. */
export interface EvictMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The process id of the backend. */
  readonly backendPid: number;
  /** Why it is ended. */
  readonly reason: EvictReason;
}

/** A pool could not connect: `usingpg:reconnect`. */
export interface ReconnectMessage {
  /** The pool's name. */
  readonly pool: string;
  /** Why the last attempt failed. */
  readonly error: unknown;
  /** When the next attempt is made, in seconds; null if `reconnectTimeout` is over and no request waits. */
  readonly delay: number | null;
}

/** A `Listener` listens again after its connection was lost: `usingpg:gap`. */
export interface GapMessage {
  /** The name of the pool; null if what it takes connections from has none. */
  readonly pool: string | null;
  /** The channels listened to. */
  readonly channels: readonly string[];
  /** When the lost connection was last known to work: what was notified since may have been missed. */
  readonly since: Date;
  /** How the connection was lost. */
  readonly error: unknown;
}

/** The server has sent a notice: `usingpg:notice`. */
export interface NoticeMessage extends ConnectionMessage {
  /** What the server said: severity, SQLSTATE, message and more. */
  readonly diag: Diagnostic;
}

// --- the channels

/** A tracing channel, whose messages are made only if it has a subscriber. */
export class Tracer<M extends TracedMessage> {
  readonly #channel: TracingChannel<unknown, M>;

  constructor(name: string) {
    this.#channel = tracingChannel<unknown, M>(name);
  }

  /** Whether anybody listens. */
  get watched(): boolean {
    const { start, end, asyncStart, asyncEnd, error } = this.#channel;
    // `TracingChannel.hasSubscribers` says the same, but not in the first releases of Node 20.
    return (
      start.hasSubscribers ||
      asyncEnd.hasSubscribers ||
      error.hasSubscribers ||
      end.hasSubscribers ||
      asyncStart.hasSubscribers
    );
  }

  /**
   * Tells of what `run` does, from beginning to end, and returns what it does. `run` is called in the context that was bound to
   * `start` (`start.bindStore()`). `complete` puts the outcome into the message. This is Node's `tracePromise()`, except that the
   * outcome itself, rows for one, is not shown to anybody.
   */
  trace<T>(message: M, run: () => Promise<T>, complete: (outcome: T) => void): Promise<T> {
    const { start, end, asyncStart, asyncEnd, error } = this.#channel;
    const began = performance.now();
    const settle = (): void => {
      message.seconds = (performance.now() - began) / 1000;
    };
    const tellEnd = (): void => {
      asyncStart.publish(message);
      asyncEnd.publish(message);
    };
    return start.runStores(message, () => {
      const running = run().then(
        (outcome) => {
          settle();
          complete(outcome);
          tellEnd();
          return outcome;
        },
        (reason: unknown) => {
          settle();
          message.error = reason;
          message.sqlstate = sqlstateOf(reason);
          error.publish(message);
          tellEnd();
          throw reason;
        },
      );
      end.publish(message);
      return running;
    });
  }
}

function sqlstateOf(reason: unknown): string | null {
  if (typeof reason !== 'object' || reason === null || !('sqlstate' in reason)) return null;
  return typeof reason.sqlstate === 'string' ? reason.sqlstate : null;
}

/** The tracing channels of `node:diagnostics_channel` that the library publishes on. */
export const tracers = {
  connect: new Tracer<ConnectMessage>('usingpg:connect'),
  checkout: new Tracer<CheckoutMessage>('usingpg:checkout'),
  query: new Tracer<QueryMessage>('usingpg:query'),
} as const;

/** The channels of `node:diagnostics_channel` that the library publishes on. */
export const channels = {
  /** `UncommittedMessage`. */
  uncommitted: channel('usingpg:uncommitted'),
  /** `ReturnMessage`. */
  return: channel('usingpg:return'),
  /** `LeakMessage`. */
  leak: channel('usingpg:leak'),
  /** `LeakMessage`: what was reported on `usingpg:leak` has come back. */
  leakReturned: channel('usingpg:leak-returned'),
  /** `RetryMessage`. */
  retry: channel('usingpg:retry'),
  /** `EvictMessage`. */
  evict: channel('usingpg:evict'),
  /** `ReconnectMessage`. */
  reconnect: channel('usingpg:reconnect'),
  /** `GapMessage`. */
  gap: channel('usingpg:gap'),
  /** `NoticeMessage`. */
  notice: channel('usingpg:notice'),
} as const;
