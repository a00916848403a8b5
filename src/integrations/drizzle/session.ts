import {
  entityKind,
  NoopLogger,
  type Assume,
  type Logger,
  type Query,
  type RelationalSchemaConfig,
  type SQL,
  type TablesRelationalConfig,
} from 'drizzle-orm';
import { NoopCache, type Cache } from 'drizzle-orm/cache/core';
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types';
import {
  PgSession,
  PgTransaction,
  type PgDialect,
  type PgQueryResultHKT,
  type PgTransactionConfig,
  type PreparedQueryConfig,
  type SelectedFieldsOrdered,
} from 'drizzle-orm/pg-core';
import type { Client } from './client.js';
import { iterate, type IteratedQuery, type IteratorOptions } from './iterator.js';
import { UsingpgPreparedQuery, type StatementContext, type UsingpgQueryResult } from './prepared-query.js';

export type { UsingpgQueryResult };

/** The type of a raw query's result, to Drizzle's types. */
export interface UsingpgQueryResultHKT extends PgQueryResultHKT {
  /** The result of `db.execute()`. */
  type: UsingpgQueryResult<Assume<this['row'], Record<string, unknown>>>;
}

/** The options of a session. */
export interface SessionOptions {
  readonly logger: Logger | undefined;
  readonly cache: Cache | undefined;
}

/** Runs the statements that Drizzle has built. */
export class UsingpgSession<
  TFullSchema extends Record<string, unknown>,
  TSchema extends TablesRelationalConfig,
> extends PgSession<UsingpgQueryResultHKT, TFullSchema, TSchema> {
  static override readonly [entityKind]: string = 'UsingpgSession';

  readonly #client: Client;
  readonly #dialect: PgDialect;
  readonly #schema: RelationalSchemaConfig<TSchema> | undefined;
  readonly #options: SessionOptions;
  readonly #context: StatementContext;

  constructor(
    client: Client,
    dialect: PgDialect,
    schema: RelationalSchemaConfig<TSchema> | undefined,
    options: SessionOptions,
  ) {
    super(dialect);
    this.#client = client;
    this.#dialect = dialect;
    this.#schema = schema;
    this.#options = options;
    const { logger = new NoopLogger(), cache = new NoopCache() } = options;
    this.#context = { client, logger, cache };
  }

  override prepareQuery<T extends PreparedQueryConfig>(
    query: Query,
    fields: SelectedFieldsOrdered | undefined,
    name: string | undefined,
    _isResponseInArrayMode: boolean,
    mapRows?: (rows: unknown[][]) => T['execute'],
    metadata?: { type: 'select' | 'update' | 'delete' | 'insert'; tables: string[] },
    cacheConfig?: WithCacheConfig,
  ): UsingpgPreparedQuery<T> {
    return new UsingpgPreparedQuery<T>(
      { query, fields, name, mapRows, metadata, cacheConfig },
      this.#context,
    );
  }

  override transaction<T>(
    body: (tx: UsingpgTransaction<TFullSchema, TSchema>) => Promise<T>,
    config?: PgTransactionConfig,
  ): Promise<T> {
    return this.#client.transaction(config, (client) => {
      const session = new UsingpgSession<TFullSchema, TSchema>(
        client,
        this.#dialect,
        this.#schema,
        this.#options,
      );
      return body(new UsingpgTransaction(this.#dialect, session, this.#schema));
    });
  }

  override async count(sql: SQL): Promise<number> {
    const { rows } = await this.execute<UsingpgQueryResult<{ count: string }>>(sql);
    return Number(rows[0]!.count);
  }
}

/** A transaction, or a savepoint within one: what the callback of `db.transaction()` is given. */
export class UsingpgTransaction<
  TFullSchema extends Record<string, unknown>,
  TSchema extends TablesRelationalConfig,
> extends PgTransaction<UsingpgQueryResultHKT, TFullSchema, TSchema> {
  static override readonly [entityKind]: string = 'UsingpgTransaction';

  readonly #session: UsingpgSession<TFullSchema, TSchema>;

  /** Made by `transaction()`. */
  constructor(
    dialect: PgDialect,
    session: UsingpgSession<TFullSchema, TSchema>,
    schema: RelationalSchemaConfig<TSchema> | undefined,
  ) {
    super(dialect, session, schema);
    this.#session = session;
  }

  /** Runs `body` in a savepoint of this transaction, to which an error thrown by `body` rolls back. */
  override transaction<T>(body: (tx: UsingpgTransaction<TFullSchema, TSchema>) => Promise<T>): Promise<T> {
    return this.#session.transaction(body);
  }

  /** Gives the rows of a query as they arrive; see `UsingpgDatabase.iterator()`. */
  iterator<Row>(query: IteratedQuery<Row>, options?: IteratorOptions): AsyncGenerator<Row, void, void> {
    return iterate(query, options);
  }
}
