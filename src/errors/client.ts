import { brand, Error, InterfaceError, OperationalError, ProgrammingError } from './base.js';
import { thrownText } from './thrown.js';

/** Raised by the second of two concurrent operations on one cursor; the first is unaffected. */
export class ConcurrentCursorUse extends InterfaceError {
  static {
    brand(this, 'ConcurrentCursorUse');
  }

  /** `running` and `attempted` are the two queries; `running` is null if the running operation has none. */
  constructor(running: string | null, attempted: string) {
    const busy = running === null ? 'another operation' : `"${shorten(running)}"`;
    super(
      `this cursor is busy with ${busy}, so it can't begin "${shorten(attempted)}": a cursor serves one task` +
        ' at a time; give each task a cursor of its own (conn.cursor()), or a connection of its own (pool.connection())',
      { query: attempted },
    );
  }
}

/**
 * Raised by a transaction block that begins outside of the open block of the same connection, for example in another task. The
 * new block is refused; the open block is unaffected.
 */
export class ConcurrentTransaction extends ProgrammingError {
  static {
    brand(this, 'ConcurrentTransaction');
  }

  /** `open` and `attempted` describe the two blocks; `lastStatement` is the last one within the open block, or null. */
  constructor(open: string, attempted: string, lastStatement: string | null) {
    const where = lastStatement === null ? '' : ` (last statement: "${shorten(lastStatement)}")`;
    super(
      `the connection is inside ${open}${where}, and ${attempted} began outside of it: its work would be rolled back with` +
        ' that of the open block. Give each task a connection of its own (pool.connection()), await the end of the open block, or nest' +
        ' with tx.withTransaction() or tx.transaction() of the open block',
    );
  }
}

/** Raised by transaction blocks that end in another order than they began (Psycopg: `OutOfOrderTransactionNesting`). */
export class OutOfOrderTransactionNesting extends ProgrammingError {
  static {
    brand(this, 'OutOfOrderTransactionNesting');
  }
}

/** Connecting took longer than allowed (Psycopg: `ConnectionTimeout`). */
export class ConnectionTimeout extends OperationalError {
  static {
    brand(this, 'ConnectionTimeout');
  }
}

/** A cancel request was not answered in time (Psycopg: `CancellationTimeout`). */
export class CancellationTimeout extends OperationalError {
  static {
    brand(this, 'CancellationTimeout');
  }
}

/** A pipelined statement was skipped because an earlier one failed (Psycopg: `PipelineAborted`). */
export class PipelineAborted extends OperationalError {
  static {
    brand(this, 'PipelineAborted');
  }
}

/** The pool is closed, or not open yet (psycopg_pool: `PoolClosed`). */
export class PoolClosed extends OperationalError {
  static {
    brand(this, 'PoolClosed');
  }
}

/** The pool could not provide a connection in time (psycopg_pool: `PoolTimeout`). */
export class PoolTimeout extends OperationalError {
  static {
    brand(this, 'PoolTimeout');
  }
}

/** `maxWaiting` requests are already waiting for a connection (psycopg_pool: `TooManyRequests`). */
export class TooManyRequests extends OperationalError {
  static {
    brand(this, 'TooManyRequests');
  }
}

/** What is known of an outcome that is unknown: whether this server has committed, and the statement. */
interface UnknownOutcome {
  readonly committed?: boolean;
  readonly query?: string | null;
  /** What the query may have done to the transaction. */
  readonly maybe?: 'committed' | 'prepared' | 'rolled back';
  /** Whether the transaction is one that outlives its connection once it is prepared. */
  readonly twoPhase?: boolean | undefined;
}

/**
 * The connection was lost after COMMIT was sent and before the server answered, so the transaction may or may not be committed.
 * Only the data can tell; repeating the transaction might do its work twice. `cause` is the error that ended the connection. The
 * same holds for the calls that prepare or end a two-phase transaction; there `tpcRecover()` tells whether it is prepared.
 *
 * Or the server has committed, but stopped waiting for its synchronous standby, because the COMMIT, or a statement in autocommit,
 * was cancelled: a failover may undo the transaction. `cause` has then the server's warning, and the connection is usable.
 */
export class TransactionOutcomeUnknown extends OperationalError {
  static {
    brand(this, 'TransactionOutcomeUnknown');
  }

  /** `cause` is the error with which the COMMIT rejected, or the warning with which it or another statement succeeded. */
  constructor(cause: unknown, outcome: UnknownOutcome = {}) {
    const { committed = false, query = 'COMMIT', maybe = 'committed', twoPhase = false } = outcome;
    const reason = cause instanceof globalThis.Error ? cause.message : thrownText(cause);
    const happened = committed
      ? 'the server has done this without its synchronous standby, so a failover may undo it'
      : `the connection was lost before the server had answered the ${String(query)}, so the transaction may be ${maybe} or not`;
    const todo = twoPhase
      ? 'tpcRecover() tells whether it is prepared'
      : 'check whether its changes are there before you run it again';
    super(`${happened} (${reason}); ${todo}`, {
      cause,
      query,
      ...(cause instanceof Error ? { diag: cause.diag, sqlstate: cause.sqlstate } : {}),
    });
  }
}

const LONGEST_SHOWN = 100;

function shorten(query: string): string {
  const line = query.replace(/\s+/g, ' ').trim();
  return line.length <= LONGEST_SHOWN ? line : `${line.slice(0, LONGEST_SHOWN - 1)}…`;
}
