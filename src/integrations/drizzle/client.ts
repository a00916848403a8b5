import type { PgTransactionConfig } from 'drizzle-orm/pg-core';
import type { AsyncConnectionPool } from '../../index.js';
import { errors, IsolationLevel, type AsyncConnection, type AsyncTransaction } from '../../index.js';

/** Where the statements of a session run. */
export interface Client {
  /** Gets a connection for one statement, which `close()` gives back. */
  open(signal?: AbortSignal): Promise<AsyncConnection<unknown>>;
  close(connection: AsyncConnection<unknown>): Promise<void>;
  /** Runs `body` in a transaction, or in a savepoint of the open one. */
  transaction<T>(config: PgTransactionConfig | undefined, body: (client: Client) => Promise<T>): Promise<T>;
}

/** What is needed of an `AsyncConnectionPool`, whatever the rows of its connections are. */
export type ConnectionPool = Pick<AsyncConnectionPool<unknown>, 'getconn' | 'withTransaction'>;

/** Each statement and each transaction on a connection of its own. */
export class PoolClient implements Client {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async open(signal?: AbortSignal): Promise<AsyncConnection<unknown>> {
    const connection = await this.#pool.getconn({ signal });
    try {
      // The setting ends with this checkout.
      if (!connection.autocommit) await connection.setAutocommit(true);
    } catch (error) {
      await this.close(connection);
      throw error;
    }
    return connection;
  }

  close(connection: AsyncConnection<unknown>): Promise<void> {
    return connection[Symbol.asyncDispose]();
  }

  async transaction<T>(
    config: PgTransactionConfig | undefined,
    body: (client: Client) => Promise<T>,
  ): Promise<T> {
    // The callback of a Drizzle transaction may do what must not be repeated.
    return this.#pool.withTransaction(
      (connection, transaction) => body(new TransactionClient(connection, transaction)),
      { retries: 0, ...settingsOf(config) },
    );
  }
}

/** All on one connection, whose holder commits what is not in a transaction of Drizzle's. */
export class ConnectionClient implements Client {
  readonly #connection: AsyncConnection<unknown>;

  constructor(connection: AsyncConnection<unknown>) {
    this.#connection = connection;
  }

  async open(): Promise<AsyncConnection<unknown>> {
    return this.#connection;
  }

  async close(): Promise<void> {
    // It is its holder's.
  }

  async transaction<T>(
    config: PgTransactionConfig | undefined,
    body: (client: Client) => Promise<T>,
  ): Promise<T> {
    const connection = this.#connection;
    const restore = await configure(connection, config);
    try {
      return await connection.withTransaction((transaction) =>
        body(new TransactionClient(connection, transaction)),
      );
    } finally {
      await restore();
    }
  }
}

/** All within a transaction. */
class TransactionClient extends ConnectionClient {
  readonly #transaction: AsyncTransaction;

  constructor(connection: AsyncConnection<unknown>, transaction: AsyncTransaction) {
    super(connection);
    this.#transaction = transaction;
  }

  override transaction<T>(_config: undefined, body: (client: Client) => Promise<T>): Promise<T> {
    const { connection } = this.#transaction;
    return this.#transaction.withTransaction((savepoint) =>
      body(new TransactionClient(connection, savepoint)),
    );
  }
}

const LEVELS = {
  'read uncommitted': IsolationLevel.READ_UNCOMMITTED,
  'read committed': IsolationLevel.READ_COMMITTED,
  'repeatable read': IsolationLevel.REPEATABLE_READ,
  serializable: IsolationLevel.SERIALIZABLE,
} as const;

interface Settings {
  readonly isolationLevel?: IsolationLevel;
  readonly readOnly?: boolean;
  readonly deferrable?: boolean;
}

function settingsOf({ isolationLevel, accessMode, deferrable }: PgTransactionConfig = {}): Settings {
  if (isolationLevel !== undefined && !Object.hasOwn(LEVELS, isolationLevel)) {
    throw new errors.ProgrammingError(
      `PostgreSQL has no isolation level '${isolationLevel}': use ${Object.keys(LEVELS).join(', ')}`,
    );
  }
  return {
    ...(isolationLevel !== undefined && { isolationLevel: LEVELS[isolationLevel] }),
    ...(accessMode !== undefined && { readOnly: accessMode === 'read only' }),
    ...(deferrable !== undefined && { deferrable }),
  };
}

type TransactionSettings = Pick<AsyncConnection, 'isolationLevel' | 'readOnly' | 'deferrable'>;

/** Sets what a connection's next transaction is to be like; returns how to undo that. */
async function configure(
  connection: AsyncConnection<unknown>,
  config: PgTransactionConfig | undefined,
): Promise<() => Promise<void>> {
  const wanted = settingsOf(config);
  const { isolationLevel, readOnly, deferrable } = connection;
  const before = { isolationLevel, readOnly, deferrable };
  const set = async (settings: TransactionSettings): Promise<void> => {
    if (wanted.isolationLevel !== undefined) await connection.setIsolationLevel(settings.isolationLevel);
    if (wanted.readOnly !== undefined) await connection.setReadOnly(settings.readOnly);
    if (wanted.deferrable !== undefined) await connection.setDeferrable(settings.deferrable);
  };
  await set({ ...before, ...wanted });
  return async () => {
    if (!connection.closed) await set(before);
  };
}
