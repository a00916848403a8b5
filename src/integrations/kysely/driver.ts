import {
  createQueryId,
  IdentifierNode,
  RawNode,
  type DatabaseConnection,
  type Driver,
  type QueryCompiler,
  type TransactionSettings,
} from 'kysely';
import {
  errors,
  IsolationLevel,
  TransactionStatus,
  type AsyncConnection,
  type AsyncConnectionPool,
} from '../../index.js';
import { UsingpgConnection } from './connection.js';
import type { SessionAdapters } from './session-adapters.js';

/** What is needed of an `AsyncConnectionPool`, whatever the rows of its connections are. */
export type ConnectionPool = Pick<AsyncConnectionPool<unknown>, 'getconn' | 'close'>;

/** Where a driver has its pool from. */
export interface PoolSource {
  /** Whether the driver closes the pool. */
  readonly isOwn: boolean;
  readonly pool: () => ConnectionPool | Promise<ConnectionPool>;
}

/** The options that Kysely passes since 0.29. */
interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** By this property of an error Kysely knows, since 0.28.18, that a failed COMMIT has ended its transaction. */
const ABORTED_TRANSACTION = Symbol.for('kysely.AbortedTransactionError');

/** Seconds for the answer to a ROLLBACK, which Kysely gives no signal; the connection is closed afterwards. */
const ROLLBACK_LIMIT = 5;

const LEVELS: Readonly<Record<string, IsolationLevel>> = {
  'read uncommitted': IsolationLevel.READ_UNCOMMITTED,
  'read committed': IsolationLevel.READ_COMMITTED,
  'repeatable read': IsolationLevel.REPEATABLE_READ,
  serializable: IsolationLevel.SERIALIZABLE,
};

/** Gives Kysely connections of a pool, and controls their transactions. */
export class UsingpgDriver implements Driver {
  readonly #source: PoolSource;
  readonly #adapters: SessionAdapters;
  #pool: ConnectionPool | null = null;

  constructor(source: PoolSource, adapters: SessionAdapters) {
    this.#source = source;
    this.#adapters = adapters;
  }

  async init(): Promise<void> {
    this.#pool = await this.#source.pool();
  }

  async acquireConnection({ signal }: Abortable = {}): Promise<UsingpgConnection> {
    const connection = await this.#pool!.getconn({ signal });
    try {
      // Kysely begins its transactions itself. The setting ends with this checkout.
      if (!connection.autocommit) await connection.setAutocommit(true);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
    return new UsingpgConnection(connection, this.#adapters.of(connection));
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    await own(connection).release();
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const { isolationLevel, accessMode } = settings;
    let sql = isolationLevel === undefined && accessMode === undefined ? 'begin' : 'start transaction';
    if (isolationLevel !== undefined) sql += ` isolation level ${isolationLevel}`;
    if (accessMode !== undefined) sql += ` ${accessMode}`;
    const { connection: conn } = own(connection);
    await own(connection).command(sql, async () => {
      await conn.setIsolationLevel(isolationLevel === undefined ? null : levelOf(isolationLevel));
      await conn.setReadOnly(accessMode === undefined ? null : accessMode === 'read only');
      // The server gets BEGIN together with the first statement.
      await conn.setAutocommit(false);
    });
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { connection: conn } = own(connection);
    try {
      await own(connection).command('commit', () => conn.commit());
    } catch (error) {
      if (error instanceof errors.InFailedSqlTransaction) {
        Object.defineProperty(error, ABORTED_TRANSACTION, { value: true });
      }
      throw error;
    } finally {
      await endTransaction(conn);
    }
  }

  /**
   * Rolls back, or leaves that to the end of the connection: Kysely reports a failure of this method in place of the error that ended the
   * transaction.
   */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const { connection: conn } = own(connection);
    const signal = AbortSignal.timeout(ROLLBACK_LIMIT * 1000);
    try {
      await own(connection).command('rollback', () => conn.rollback({ signal }));
    } catch (error) {
      if (signal.aborted) await conn.close();
      if (!conn.closed) throw error;
    } finally {
      await endTransaction(conn);
    }
  }

  async savepoint(
    connection: DatabaseConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ): Promise<void> {
    await connection.executeQuery(compile(savepointCommand('savepoint', name), createQueryId()));
  }

  async rollbackToSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ): Promise<void> {
    await connection.executeQuery(compile(savepointCommand('rollback to', name), createQueryId()));
  }

  async releaseSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ): Promise<void> {
    await connection.executeQuery(compile(savepointCommand('release', name), createQueryId()));
  }

  async destroy(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    if (this.#source.isOwn) await pool?.close();
  }
}

/** Has later statements committed by themselves again, unless the transaction has not ended or the connection is lost. */
async function endTransaction(conn: AsyncConnection<unknown>): Promise<void> {
  if (conn.closed || conn.info.transactionStatus !== TransactionStatus.IDLE) return;
  await conn.setAutocommit(true);
}

function levelOf(name: string): IsolationLevel {
  const level = LEVELS[name];
  if (level !== undefined) return level;
  throw new errors.ProgrammingError(
    `PostgreSQL has no isolation level '${name}': use ${Object.keys(LEVELS).join(', ')}`,
  );
}

/** Kysely gives back the connections that it got. */
function own(connection: DatabaseConnection): UsingpgConnection {
  if (connection instanceof UsingpgConnection) return connection;
  throw new errors.InterfaceError('the connection is not of this driver');
}

function savepointCommand(command: string, name: string): RawNode {
  return RawNode.createWithChildren([RawNode.createWithSql(`${command} `), IdentifierNode.create(name)]);
}
