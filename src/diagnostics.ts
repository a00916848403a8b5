import { channel, tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import type { Diagnostic } from './errors/index.js';

// --- the messages of tracing channels; one object serves all events of an operation, from `start` to `asyncEnd`

/** The common part of all tracing messages. */
export interface TracedMessage {
  /** Duration in seconds; null until the operation has ended. */
  seconds: number | null;
  /** The error that the caller gets; undefined unless the operation has failed. */
  error: unknown;
  /** The SQLSTATE of `error`; null if it has none. */
  sqlstate: string | null;
}

/** The initial values of a tracing message. */
export const NOT_ENDED: TracedMessage = Object.freeze({ seconds: null, error: undefined, sqlstate: null });

/** The connection that a message is about. */
export interface ConnectionMessage {
  /** The name of the connection's pool; null without a pool. */
  readonly pool: string | null;
  /** The host's name, or the directory of the Unix socket. */
  readonly host: string;
  /** The server's port. */
  readonly port: number;
  /** The database's name. */
  readonly dbname: string;
  /** The role that signed in. */
  readonly user: string;
  /** The process id of the backend. */
  readonly backendPid: number;
}

/** A connection is being made: `usingpg:connect`. */
export interface ConnectMessage extends TracedMessage {
  /** The name of the pool that connects; null without a pool. */
  readonly pool: string | null;
  /** The first host to be tried, or the directory of a Unix socket. At the end, the host of the established connection. */
  host: string;
  /** The server's port. */
  port: number;
  /** The database's name. */
  readonly dbname: string;
  /** The role that signs in. */
  readonly user: string;
  /** The process id of the backend; null until the connection is established. */
  backendPid: number | null;
}

/** A pool is asked for a connection: `usingpg:checkout`. */
export interface CheckoutMessage extends TracedMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The maximum wait, in seconds. */
  readonly timeout: number;
  /** Whether the request has to wait, because no connection was idle or because the connection is checked first. */
  waited: boolean;
  /** The process id of the connection's backend; null until the pool has assigned one. */
  backendPid: number | null;
}

/**
 * How a statement is executed. 'statement': once. 'batch': several executions of one text (`executemany()`). 'stream' and 'copy':
 * until the last row or the last data. 'portal': a server-side cursor is described or closed.
 */
export type QueryKind = 'statement' | 'batch' | 'stream' | 'copy' | 'portal';

/**
 * A statement is executed: `usingpg:query`. The operation begins when the statement is submitted, so it includes the wait for
 * earlier statements.
 */
export interface QueryMessage extends TracedMessage, ConnectionMessage {
  /** The text with `$1` … for the parameters. It never contains their values, even if the client binds them. */
  readonly query: string;
  /** The first word of the text in upper case, such as `SELECT`; null if there is none. */
  readonly operation: string | null;
  /** The kind of execution. */
  readonly kind: QueryKind;
  /** The number of executions. */
  readonly batchSize: number;
  /**
   * Returns the values of `$1` … for each execution, as the texts that are sent, null for NULL. Empty if the text has no
   * parameters, or if the client binds them. It is a function, so that a program that prints the message prints no values.
   */
  readonly values: () => readonly (readonly (string | null)[])[];
  /** The tag of the last command, such as `INSERT 0 1`; null until the end, and if no command was executed. */
  tag: string | null;
  /** The number of rows returned or affected, over all results; null if no command counts rows. */
  rowcount: number | null;
}

// --- the messages of plain channels

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
 * A connection was checked out for longer than the pool's `leakThreshold`, or was garbage-collected while checked out:
 * `usingpg:leak`. A connection reported there has been returned: `usingpg:leak-returned`.
 */
export interface LeakMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The process id of the backend. */
  readonly backendPid: number;
  /** Seconds since the checkout. */
  readonly seconds: number;
  /** The stack of the call that checked it out; null if `leakThreshold` is off. */
  readonly stack: string | null;
  /** Whether the connection was garbage-collected; the pool has then taken it back. */
  readonly collected: boolean;
}

/** `pool.withTransaction()` repeats a transaction after a transient error: `usingpg:retry`. */
export interface RetryMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The transient error: `SerializationFailure` or `DeadlockDetected`. */
  readonly error: unknown;
  /** The number of the retry, from 1. */
  readonly retry: number;
  /** The delay before the retry, in seconds. */
  readonly delay: number;
}

/**
 * Why a pool closes a connection:
 *
 * - 'lost': the connection was lost, or its borrower closed it.
 * - 'unusable': it could not be made ready after its return: the rollback or `reset` failed, or the pool's `close()` took it
 *   away.
 * - 'check': it failed a check.
 * - 'lifetime': it reached `maxLifetime`.
 * - 'uses': it has served `maxUses` checkouts.
 * - 'idle': it was idle for `maxIdle`.
 * - 'drained': it is older than the last `drain()`.
 * - 'surplus': the pool has more connections than its size allows.
 * - 'unneeded': no request waits, in a pool that keeps no connections.
 * - 'closed': the pool was closed.
 */
export type EvictReason =
  | 'lost'
  | 'unusable'
  | 'check'
  | 'lifetime'
  | 'uses'
  | 'idle'
  | 'drained'
  | 'surplus'
  | 'unneeded'
  | 'closed';

/** A pool closes one of its connections: `usingpg:evict`. */
export interface EvictMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The process id of the backend. */
  readonly backendPid: number;
  /** Why the pool closes it. */
  readonly reason: EvictReason;
}

/** A pool could not connect: `usingpg:reconnect`. */
export interface ReconnectMessage {
  /** The pool's name. */
  readonly pool: string;
  /** The error of the last attempt. */
  readonly error: unknown;
  /** Seconds until the next attempt; null if `reconnectTimeout` has passed and no request waits. */
  readonly delay: number | null;
}

/** A `Listener` listens again after it lost its connection: `usingpg:gap`. */
export interface GapMessage {
  /** The pool's name; null if the listener's connection source has none. */
  readonly pool: string | null;
  /** The listener's channels. */
  readonly channels: readonly string[];
  /** When the lost connection was last known to work. Notifications sent since then may have been missed. */
  readonly since: Date;
  /** The error that ended the connection. */
  readonly error: unknown;
}

/** A connection was lost, idle or not, rather than closed: `usingpg:lost`. Its pool then replaces it (`usingpg:evict`). */
export interface LostMessage extends ConnectionMessage {
  /** The error that ended the connection: the server's last, if it sent one. */
  readonly error: unknown;
}

/** The server sent a notice: `usingpg:notice`. */
export interface NoticeMessage extends ConnectionMessage {
  /** The notice: severity, SQLSTATE, message and more. */
  readonly diag: Diagnostic;
}

// --- the channels

/** A tracing channel. Its messages are only made while it has a subscriber. */
export class Tracer<M extends TracedMessage> {
  readonly channel: TracingChannel<unknown, M>;

  constructor(name: string) {
    this.channel = withHasSubscribers(tracingChannel<unknown, M>(name));
  }

  /**
   * Runs `run`, publishes its events, and returns its result. `run` is called in the context bound to `start`
   * (`start.bindStore()`). `complete` copies the outcome into the message. This differs from Node's `tracePromise()` in one
   * point: the outcome itself, which may be rows, is not published.
   */
  trace<T>(message: M, run: () => Promise<T>, complete: (outcome: T) => void): Promise<T> {
    const { start, end, asyncStart, asyncEnd, error } = this.channel;
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

/** `hasSubscribers` is missing in the first releases of Node 20. */
function withHasSubscribers<C extends TracingChannel>(channel: C): C {
  if ('hasSubscribers' in channel) return channel;
  const { start, end, asyncStart, asyncEnd, error } = channel as TracingChannel;
  return Object.defineProperty(channel, 'hasSubscribers', {
    get: () => [start, end, asyncStart, asyncEnd, error].some((event) => event.hasSubscribers),
  });
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
  /** `LeakMessage`: a connection reported on `usingpg:leak` has been returned. */
  leakReturned: channel('usingpg:leak-returned'),
  /** `RetryMessage`. */
  retry: channel('usingpg:retry'),
  /** `EvictMessage`. */
  evict: channel('usingpg:evict'),
  /** `ReconnectMessage`. */
  reconnect: channel('usingpg:reconnect'),
  /** `GapMessage`. */
  gap: channel('usingpg:gap'),
  /** `LostMessage`. */
  lost: channel('usingpg:lost'),
  /** `NoticeMessage`. */
  notice: channel('usingpg:notice'),
} as const;
