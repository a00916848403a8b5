import {
  createTableRelationsHelpers,
  DefaultLogger,
  entityKind,
  extractTablesRelationalConfig,
  type DrizzleConfig,
  type ExtractTablesWithRelations,
  type Logger,
  type RelationalSchemaConfig,
} from 'drizzle-orm';
import type { Cache } from 'drizzle-orm/cache/core';
import { PgDatabase, PgDialect, type PgTransactionConfig } from 'drizzle-orm/pg-core';
import { AsyncConnection, errors } from '../../index.js';
import { CallOptions } from '../../options/call-options.js';
import { OBJECT } from '../../options/kinds.js';
import { ConnectionClient, PoolClient, type ConnectionPool } from './client.js';
import { iterate, type IteratedQuery, type IteratorOptions } from './iterator.js';
import { UsingpgSession, type UsingpgQueryResultHKT, type UsingpgTransaction } from './session.js';

/** A pool, or a connection whose holder commits. */
export type DrizzleClient = ConnectionPool | AsyncConnection<unknown>;

/** A Drizzle database over a pool or a connection of this library. */
export class UsingpgDatabase<
  TSchema extends Record<string, unknown> = Record<string, never>,
> extends PgDatabase<UsingpgQueryResultHKT, TSchema> {
  static override readonly [entityKind]: string = 'UsingpgDatabase';

  /**
   * Runs `body` in a transaction on a connection of its own, or on that of the database. Commits if `body` returns, rolls back if it
   * throws. Raises `InFailedSqlTransaction` if a statement failed although `body` returned, and the other errors of
   * `pool.withTransaction()`; nothing is repeated.
   */
  override transaction<T>(
    body: (tx: UsingpgTransaction<TSchema, ExtractTablesWithRelations<TSchema>>) => Promise<T>,
    config?: PgTransactionConfig,
  ): Promise<T> {
    // Its session makes such transactions.
    return super.transaction(body as never, config);
  }

  /**
   * Executes a query and gives its rows as they arrive, in a bounded amount of memory, past Drizzle's cache. The connection is
   * busy until the iteration ends; that of a pool is then given back, also after `break` or an error. Raises `ProgrammingError`
   * for a query of another driver, and `DrizzleQueryError` with the error of the library as its `cause`.
   *
   * @example
   * import { pgTable, integer, text } from 'drizzle-orm/pg-core';
   * import { drizzle } from 'usingpg/drizzle';
   * const city = pgTable('city', { id: integer(), name: text() });
   * const db = drizzle(pool);
   * for await (const { name } of db.iterator(db.select().from(city))) console.log(name);
   */
  iterator<Row>(query: IteratedQuery<Row>, options?: IteratorOptions): AsyncGenerator<Row, void, void> {
    return iterate(query, options);
  }
}

const CONFIG = new CallOptions<DrizzleConfig>('drizzle(client, options)', {
  schema: OBJECT,
  casing: {
    what: "'snake_case' or 'camelCase'",
    is: (value) => value === 'snake_case' || value === 'camelCase',
  },
  logger: {
    what: 'true, false or a logger with the method logQuery()',
    is: (value) =>
      typeof value === 'boolean' || typeof (value as Partial<Logger> | null)?.logQuery === 'function',
  },
  cache: OBJECT,
});

/**
 * Makes a Drizzle database over a pool, or over a connection. With a pool, each statement is committed by itself, on a connection
 * of its own, and `db.transaction()` has one for the whole transaction. With a connection, statements belong to its open
 * transaction, if it is not in autocommit, which its holder commits. Raises `ProgrammingError` for anything else.
 *
 * @example
 * import { sql as raw } from 'drizzle-orm';
 * import { drizzle } from 'usingpg/drizzle';
 * const { rows } = await drizzle(pool).execute<{ count: string }>(raw`SELECT count(*) FROM city`);
 */
export function drizzle<
  TSchema extends Record<string, unknown> = Record<string, never>,
  TClient extends DrizzleClient = DrizzleClient,
>(client: TClient, config: DrizzleConfig<TSchema> = {}): UsingpgDatabase<TSchema> & { $client: TClient } {
  CONFIG.check(config);
  const { logger, casing, cache } = config;
  const dialect = new PgDialect({ ...(casing !== undefined && { casing }) });
  const schema = schemaOf(config.schema);
  const session = new UsingpgSession<TSchema, ExtractTablesWithRelations<TSchema>>(
    clientOf(client),
    dialect,
    schema,
    { logger: loggerOf(logger), cache },
  );
  const db = new UsingpgDatabase<TSchema>(dialect, session, schema);
  return Object.assign(db, { $client: client, $cache: withInvalidate(cache) });
}

function clientOf(client: DrizzleClient): ConnectionClient | PoolClient {
  if (client instanceof AsyncConnection) return new ConnectionClient(client);
  if (typeof client === 'object' && client !== null && 'getconn' in client) return new PoolClient(client);
  throw new errors.ProgrammingError('drizzle() needs an AsyncConnectionPool or an AsyncConnection');
}

function loggerOf(logger: boolean | Logger | undefined): Logger | undefined {
  if (logger === true) return new DefaultLogger();
  return logger === false ? undefined : logger;
}

function schemaOf<TSchema extends Record<string, unknown>>(
  fullSchema: TSchema | undefined,
): RelationalSchemaConfig<ExtractTablesWithRelations<TSchema>> | undefined {
  if (fullSchema === undefined) return undefined;
  const { tables, tableNamesMap } = extractTablesRelationalConfig<ExtractTablesWithRelations<TSchema>>(
    fullSchema,
    createTableRelationsHelpers,
  );
  return { fullSchema, schema: tables, tableNamesMap };
}

/** Drizzle's drivers give the cache of a database this name for its method. */
function withInvalidate(cache: Cache | undefined): Cache | undefined {
  return cache === undefined ? undefined : Object.assign(cache, { invalidate: cache.onMutate.bind(cache) });
}
