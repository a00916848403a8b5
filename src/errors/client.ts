import { brand, Error, InterfaceError, OperationalError, ProgrammingError } from './base.js';
import { thrownText } from './thrown.js';

/** Two operations at once on one cursor: the second raises this, the first is unaffected. */
export class ConcurrentCursorUse extends InterfaceError {
  static {
    brand(this, 'ConcurrentCursorUse');
  }

  /** `running` and `attempted` are the two queries; `running` is null if what runs has none. */
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
 * A transaction block begun from outside of the block that is open on the same connection, by another task for example. The new block is
 * refused, the open one is unharmed.
 */
export class ConcurrentTransaction extends ProgrammingError {
  static {
    brand(this, 'ConcurrentTransaction');
  }

  /** `open` and `attempted` name the two blocks; `lastStatement` is the last one within the open block, if it is known. */
  constructor(open: string, attempted: string, lastStatement: string | null) {
    const where = lastStatement === null ? '' : ` (last statement: "${shorten(lastStatement)}")`;
    super(
      `the connection is inside ${open}${where}, and ${attempted} was to begin from outside of it: its work would be rolled back with` +
        ' that of the other. Give each task a connection of its own (pool.connection()), await the end of the open block, or nest' +
        ' with tx.withTransaction() or tx.transaction() of the open block',
    );
  }
}

/** Transaction blocks that end in another order than they began (Psycopg: `OutOfOrderTransactionNesting`). */
export class OutOfOrderTransactionNesting extends ProgrammingError {
  static {
    brand(this, 'OutOfOrderTransactionNesting');
  }
}

/** The server could not be connected to in time (Psycopg: `ConnectionTimeout`). */
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

/** The statement was not executed because one before it in the pipeline failed (Psycopg: `PipelineAborted`). */
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

/** `maxWaiting` requests are waiting for a connection already (psycopg_pool: `TooManyRequests`). */
export class TooManyRequests extends OperationalError {
  static {
    brand(this, 'TooManyRequests');
  }
}

/**
 * The connection was lost after COMMIT was sent and before the server answered: the transaction may be committed or not. Only
 * looking at the data can tell; running it again might do its work twice. `cause` is how the connection was lost.
 */
export class TransactionOutcomeUnknown extends OperationalError {
  static {
    brand(this, 'TransactionOutcomeUnknown');
  }

  /** `cause` is the error that the COMMIT was answered with. */
  constructor(cause: unknown) {
    const reason = cause instanceof globalThis.Error ? cause.message : thrownText(cause);
    super(
      `the connection was lost before the server had answered the COMMIT, so the transaction may be committed or not (${reason});` +
        ' look for what it wrote before running it again',
      {
        cause,
        query: 'COMMIT',
        ...(cause instanceof Error ? { diag: cause.diag, sqlstate: cause.sqlstate } : {}),
      },
    );
  }
}

const LONGEST_SHOWN = 100;

function shorten(query: string): string {
  const line = query.replace(/\s+/g, ' ').trim();
  return line.length <= LONGEST_SHOWN ? line : `${line.slice(0, LONGEST_SHOWN - 1)}…`;
}
