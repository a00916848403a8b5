import type { CursorFactory, CursorOptions } from '../cursor/options.js';
import type { NamedCursorOptions, ServerCursorOptions } from '../cursor/server-cursor.js';
import * as errors from '../errors/index.js';
import {
  ADAPTERS_OR_NULL,
  BOOLEAN,
  BOOLEAN_OR_NULL,
  COUNT_OR_NULL,
  FUNCTION_OR_NULL,
  SECONDS,
  SIGNAL,
  TEXT,
  whole,
  type KindsOf,
} from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import type { RowFactory, TupleRow } from '../rows.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { ConnectingPool } from './connect.js';
import type { NotifiesOptions } from './notifies.js';
import type { PipelineOptions } from './pipeline.js';
import type { TransactionEndOptions, TransactionOptions } from './transaction.js';

/** Options of `AsyncConnection.connect()`. */
export interface ConnectOptions<R = TupleRow> {
  /** Whether each statement is a transaction of its own. @default false: the first statement begins a transaction */
  autocommit?: boolean | undefined;
  /** The row factory of the connection's cursors. @default tupleRow */
  rowFactory?: RowFactory<R> | undefined;
  /** The class of the connection's cursors. @default AsyncCursor */
  cursorFactory?: CursorFactory | undefined;
  /** The number of executions after which a statement is prepared on the server; null: never. @default 5 */
  prepareThreshold?: number | null | undefined;
  /** The source of the connection's adapters. @default the global `adapters` */
  context?: AdaptContext | undefined;
  /** Ends the attempt to connect when it is aborted. */
  signal?: AbortSignal | undefined;
  /** @internal The pool that connects. */
  [CONNECTING_POOL]?: ConnectingPool | undefined;
}

/** Options of methods that wait and have no other options. */
export interface WaitOptions {
  /**
   * Ends the wait when it is aborted; the call then rejects with the signal's reason. A waiting statement is never sent, a
   * running one is cancelled. The connection stays usable.
   */
  signal?: AbortSignal | undefined;
}

export const DEFAULT_PREPARE_THRESHOLD = 5;
export const DEFAULT_PREPARED_MAX = 100;

/** The key under which a pool passes what a connection's search for a host needs of it. @internal */
export const CONNECTING_POOL: unique symbol = Symbol('usingpg.connectingPool');

const POOL_CONNECT_KINDS: KindsOf<Omit<ConnectOptions<unknown>, 'signal'>> = {
  autocommit: BOOLEAN,
  rowFactory: FUNCTION_OR_NULL,
  cursorFactory: FUNCTION_OR_NULL,
  prepareThreshold: COUNT_OR_NULL,
  context: ADAPTERS_OR_NULL,
};
const CONNECT_KINDS: KindsOf<ConnectOptions<unknown>> = { ...POOL_CONNECT_KINDS, signal: SIGNAL };
export const CONNECT = new KnownOptions<ConnectOptions<unknown>>(
  'AsyncConnection.connect(conninfo, options)',
  CONNECT_KINDS,
);
export const WITH_CONNECTION = new KnownOptions<ConnectOptions<unknown>>(
  'AsyncConnection.withConnection(conninfo, async (conn) => { … }, options)',
  CONNECT_KINDS,
);

/** Of a pool, whose connects have a signal of their own. */
export const POOL_CONNECT = new KnownOptions<Omit<ConnectOptions<unknown>, 'signal'>>(
  'connectOptions: options',
  POOL_CONNECT_KINDS,
);

/** Of cursors with a name, and of those without. */
export const CURSOR = new KnownOptions<NamedCursorOptions<unknown>>('conn.cursor(options)', {
  name: TEXT,
  rowFactory: FUNCTION_OR_NULL,
  context: ADAPTERS_OR_NULL,
  scrollable: BOOLEAN_OR_NULL,
  withhold: BOOLEAN_OR_NULL,
});

/** The options of a cursor that has no name: those that need one are refused. */
export function withoutName<T>({
  scrollable,
  withhold,
  ...others
}: ServerCursorOptions<T>): CursorOptions<T> {
  if (scrollable == null && withhold == null) return others;
  throw new errors.ProgrammingError(
    '`scrollable` and `withhold` are for a server-side cursor, which has a name; write `conn.cursor({ name: …, scrollable, withhold })`',
  );
}

const TRANSACTION_KINDS: KindsOf<TransactionOptions> = {
  savepointName: TEXT,
  forceRollback: BOOLEAN,
  signal: SIGNAL,
};
export const TRANSACTION = new KnownOptions<TransactionOptions>('transaction(options)', TRANSACTION_KINDS);
export const WITH_TRANSACTION = new KnownOptions<TransactionOptions>(
  'withTransaction(async (tx) => { … }, options)',
  TRANSACTION_KINDS,
);
export const TX_COMMIT = new KnownOptions<TransactionEndOptions>('tx.commit(options)', { signal: SIGNAL });
export const TX_ROLLBACK = new KnownOptions<TransactionEndOptions>('tx.rollback(options)', {
  signal: SIGNAL,
});

export const WITH_PIPELINE = new KnownOptions<PipelineOptions>(
  'conn.withPipeline(async (pipeline) => { … }, options)',
  { signal: SIGNAL },
);
export const SYNC = new KnownOptions<PipelineOptions>('pipeline.sync(options)', { signal: SIGNAL });

export const NOTIFIES = new KnownOptions<NotifiesOptions>('conn.notifies(options)', {
  timeout: SECONDS,
  stopAfter: whole(1),
  signal: SIGNAL,
});

export const CANCEL_SAFE = new KnownOptions<{ timeout: number; signal: AbortSignal }>(
  'conn.cancelSafe(options)',
  { timeout: SECONDS, signal: SIGNAL },
);

/** The calls that wait, and have no other option. */
export const WAITING = {
  commit: waiting('conn.commit(options)'),
  rollback: waiting('conn.rollback(options)'),
  autocommit: waiting('conn.setAutocommit(value, options)'),
  isolationLevel: waiting('conn.setIsolationLevel(value, options)'),
  readOnly: waiting('conn.setReadOnly(value, options)'),
  deferrable: waiting('conn.setDeferrable(value, options)'),
  tpcBegin: waiting('conn.tpcBegin(xid, options)'),
  tpcPrepare: waiting('conn.tpcPrepare(options)'),
  tpcCommit: waiting('conn.tpcCommit(xid, options)'),
  tpcRollback: waiting('conn.tpcRollback(xid, options)'),
  tpcRecover: waiting('conn.tpcRecover(options)'),
};

function waiting(call: string): KnownOptions<WaitOptions> {
  return new KnownOptions<WaitOptions>(call, { signal: SIGNAL });
}
