import { CompiledQuery, type DatabaseConnection, type QueryResult } from 'kysely';
import {
  AsyncRawCursor,
  dictRow,
  errors,
  type AdaptersMap,
  type AsyncConnection,
  type AsyncCursor,
} from '../../index.js';

/** The options that Kysely passes since 0.29. */
interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** The statements whose results say how many rows they affected. */
const COUNTED = /^(?:INSERT|UPDATE|DELETE|MERGE)\b/;

/** A checkout of the pool, as Kysely uses it. */
export class UsingpgConnection implements DatabaseConnection {
  readonly connection: AsyncConnection<unknown>;
  readonly #adapters: AdaptersMap;
  /** What to do instead of sending a query; see `command()`. */
  readonly #commands = new WeakMap<CompiledQuery, () => Promise<void>>();
  /** Cancels the running query. */
  #running: AbortController | null = null;

  constructor(connection: AsyncConnection<unknown>, adapters: AdaptersMap) {
    this.connection = connection;
    this.#adapters = adapters;
  }

  async executeQuery<R>(query: CompiledQuery, options?: Abortable): Promise<QueryResult<R>> {
    const command = this.#commands.get(query);
    if (command !== undefined) {
      await command();
      return { rows: [] };
    }
    // Kysely itself stops waiting at an abort, and asks for the cancellation of the query by `cancelQuery()` or not at all.
    const running = options?.signal === undefined ? null : new AbortController();
    this.#running = running;
    try {
      const cursor = this.#cursor<R>();
      await cursor.execute(
        query.sql,
        query.parameters,
        running === null ? undefined : { signal: running.signal },
      );
      const { description, statusmessage, rowcount } = cursor;
      const rows = description === null ? [] : await cursor.fetchall();
      return statusmessage !== null && COUNTED.test(statusmessage)
        ? { rows, numAffectedRows: BigInt(rowcount) }
        : { rows };
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  /** Cancels the query that was executed with a signal; called by Kysely since 0.29. */
  async cancelQuery(): Promise<void> {
    this.#running?.abort();
  }

  /** Ends the session and all that runs in it; called by Kysely since 0.29. */
  async killSession(): Promise<void> {
    await this.connection.close();
  }

  /** `chunkSize` rows come together; how many are fetched at a time depends on their size. */
  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize = 100,
    options?: Abortable,
  ): AsyncGenerator<QueryResult<R>, void, void> {
    if (!Number.isInteger(chunkSize) || chunkSize <= 0) {
      throw new errors.ProgrammingError(`expected chunkSize to be a positive integer, got ${chunkSize}`);
    }
    const { signal } = options ?? {};
    let rows: R[] = [];
    try {
      const stream = this.#cursor<R>().stream(query.sql, query.parameters, { signal });
      // A stream that is opened takes statements without rows, too.
      await stream.open();
      for await (const row of stream) {
        if (rows.push(row) < chunkSize) continue;
        yield { rows };
        rows = [];
      }
    } catch (error) {
      // Kysely has rejected with the reason already, and would report it as an error of the background.
      if (signal?.aborted === true && error === signal.reason) return;
      throw error;
    }
    if (rows.length > 0) yield { rows };
  }

  /** Runs `act` as the query `sql`, so that Kysely logs it. */
  async command(sql: string, act: () => Promise<void>): Promise<void> {
    const query = CompiledQuery.raw(sql);
    this.#commands.set(query, act);
    await this.executeQuery(query);
  }

  /** Gives the connection back; what it has not committed is rolled back. */
  async release(): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }

  #cursor<R>(): AsyncCursor<R> {
    return new AsyncRawCursor<R>(this.connection, { rowFactory: dictRow, context: this.#adapters });
  }
}
