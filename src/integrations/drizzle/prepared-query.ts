import { DrizzleQueryError, entityKind, fillPlaceholders, type Logger, type Query } from 'drizzle-orm';
import type { Cache } from 'drizzle-orm/cache/core';
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types';
import { PgPreparedQuery, type PreparedQueryConfig, type SelectedFieldsOrdered } from 'drizzle-orm/pg-core';
import {
  AsyncRawCursor,
  dictRow,
  errors,
  tupleRow,
  type AsyncConnection,
  type AsyncCursor,
  type RowFactory,
} from '../../index.js';
import type { Client } from './client.js';
import { conversionsOf } from './conversions.js';
import { rowMapper, type RowMapper } from './row-mapper.js';

/** What Drizzle wants to know of a query. */
export interface Statement {
  readonly query: Query;
  readonly fields: SelectedFieldsOrdered | undefined;
  /** The name that the user gave to a prepared statement. */
  readonly name: string | undefined;
  /** Makes the objects of a relational query. */
  readonly mapRows: ((rows: unknown[][]) => unknown) | undefined;
  readonly metadata: { type: 'select' | 'update' | 'delete' | 'insert'; tables: string[] } | undefined;
  readonly cacheConfig: WithCacheConfig | undefined;
}

/** What a session gives to its statements. */
export interface StatementContext {
  readonly client: Client;
  readonly logger: Logger;
  readonly cache: Cache;
}

/** The result of a raw query: `db.execute(sql`…`)`. */
export interface UsingpgQueryResult<Row> {
  /** The rows, as objects. */
  rows: Row[];
  /** The number of rows returned or affected; null if not applicable. */
  rowCount: number | null;
  /** The first word of the statement's tag, such as `INSERT`. */
  command: string;
}

/** What Drizzle has in its classes, but not in its declarations. */
interface Internals {
  readonly joinsNotNullableMap?: Record<string, boolean>;
  queryWithCache<T>(sql: string, params: unknown[], query: () => Promise<T>): Promise<T>;
}

/** A statement, ready to be executed with the values of its placeholders. */
export class UsingpgPreparedQuery<T extends PreparedQueryConfig> extends PgPreparedQuery<T> {
  static override readonly [entityKind]: string = 'UsingpgPreparedQuery';

  readonly #statement: Statement;
  readonly #context: StatementContext;
  #mapRow: RowMapper | null = null;

  constructor(statement: Statement, context: StatementContext) {
    super(statement.query, context.cache, statement.metadata, statement.cacheConfig);
    this.#statement = statement;
    this.#context = context;
  }

  async execute(placeholderValues: Record<string, unknown> = {}): Promise<T['execute']> {
    const { fields, mapRows } = this.#statement;
    const params = this.#begin(placeholderValues);
    if (fields === undefined && mapRows === undefined) {
      return this.#cached(params, () => this.#run(params, dictRow));
    }
    const rows = await this.#cached(params, async () => (await this.#run(params, tupleRow<unknown[]>)).rows);
    return mapRows === undefined ? rows.map(this.#rowMapper(fields!)) : mapRows(rows);
  }

  /** The rows of a raw query; called by Drizzle. */
  async all(placeholderValues: Record<string, unknown> = {}): Promise<T['all']> {
    const params = this.#begin(placeholderValues);
    const { rows } = await this.#cached(params, () => this.#run(params, dictRow));
    return rows;
  }

  /** Executes the statement and gives its rows as they arrive. */
  async *iterator(
    placeholderValues: Record<string, unknown> = {},
    { size, signal }: { readonly size?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<unknown, void, void> {
    const { query } = this.#statement;
    const params = this.#begin(placeholderValues);
    const { client } = this.#context;
    try {
      const connection = await client.open(signal);
      try {
        const cursor = this.#cursor(connection, this.#mappedRow());
        yield* cursor.stream(query.sql, params, { size, signal });
      } finally {
        await client.close(connection);
      }
    } catch (error) {
      throw error instanceof errors.Error ? new DrizzleQueryError(query.sql, params, error) : error;
    }
  }

  #begin(placeholderValues: Record<string, unknown>): unknown[] {
    const { sql, params } = this.#statement.query;
    const filled = fillPlaceholders(params, placeholderValues);
    this.#context.logger.logQuery(sql, filled);
    return filled;
  }

  /** Runs `query` unless its result is in Drizzle's cache; wraps its errors in `DrizzleQueryError`. */
  #cached<R>(params: unknown[], query: () => Promise<R>): Promise<R> {
    return (this as unknown as Internals).queryWithCache(this.#statement.query.sql, params, query);
  }

  async #run<Row>(params: unknown[], rowFactory: RowFactory<Row>): Promise<UsingpgQueryResult<Row>> {
    const { query, name } = this.#statement;
    const { client } = this.#context;
    const connection = await client.open();
    try {
      const cursor = this.#cursor(connection, rowFactory);
      await cursor.execute(query.sql, params, name === undefined ? undefined : { prepare: true });
      const { description, rowcount, statusmessage } = cursor;
      return {
        rows: description === null ? [] : await cursor.fetchall(),
        rowCount: rowcount < 0 ? null : rowcount,
        command: statusmessage?.split(' ', 1)[0] ?? '',
      };
    } finally {
      await client.close(connection);
    }
  }

  #cursor<Row>(connection: AsyncConnection<unknown>, rowFactory: RowFactory<Row>): AsyncCursor<Row> {
    return new AsyncRawCursor<Row>(connection, { rowFactory, context: conversionsOf(connection) });
  }

  /** Makes what Drizzle's user gets of one row. */
  #mappedRow(): RowFactory<unknown> {
    const { fields, mapRows } = this.#statement;
    if (mapRows !== undefined) return () => (row) => (mapRows([[...row]]) as unknown[])[0];
    if (fields === undefined) return dictRow;
    const mapRow = this.#rowMapper(fields);
    return () => mapRow;
  }

  /** Made at the first execution, as Drizzle says which joins may have no row after it has made this object. */
  #rowMapper(fields: SelectedFieldsOrdered): RowMapper {
    const { joinsNotNullableMap } = this as unknown as Internals;
    return (this.#mapRow ??= rowMapper(fields, joinsNotNullableMap));
  }
}
