import {
  ADAPTERS_OR_NULL,
  ANYTHING,
  BOOLEAN,
  checkKind,
  FUNCTION_OR_NULL,
  SIGNAL,
  type Kind,
  type KindsOf,
} from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import type { AsyncConnection } from '../connection/connection.js';
import type { RowFactory } from '../rows.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { AsyncCursor } from './cursor.js';
import type { AsyncServerCursor, ServerCursorOptions } from './server-cursor.js';

/** The maximum count of `FETCH` and `MOVE`. */
export const MOST_ROWS = 2_147_483_647;

/** A number of rows that the server can be asked for. */
export function rowCount(least: number): Kind {
  return {
    what: `a whole number from ${String(least)} to ${String(MOST_ROWS)}`,
    is: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= MOST_ROWS,
  };
}

const PAGE = rowCount(1);

/** Refuses the value of the property `name` unless so many rows can be fetched at a time. */
export function checkPage(name: string, rows: unknown): void {
  checkKind(name, rows, PAGE);
}

/** The source of the loaders and dumpers of a cursor, or of one execution. */
export interface ContextOptions {
  /**
   * An adapters map, or a connection or cursor that has one. Its loaders and dumpers are used in place of the connection's; a
   * change of the map does not affect cursors made before. Passing the same map again costs nothing: what is made of a map is
   * kept with it.
   * @default the connection's adapters
   */
  context?: AdaptContext | undefined;
}

/** Options of a cursor. */
export interface CursorOptions<R> extends ContextOptions {
  /** The row factory. @default the connection's row factory */
  rowFactory?: RowFactory<R> | undefined;
}

/** Options without a row factory: rows come from the connection's row factory. */
export interface WithoutRowFactory {
  rowFactory?: undefined;
}

/** Options with a row factory, which determines the row type. */
export interface WithRowFactory<R> {
  /** The row factory. */
  rowFactory: RowFactory<R>;
}

/** Options whose row factory may be undefined at run time. */
export interface PerhapsWithRowFactory<R> {
  /** The row factory. @default the connection's row factory */
  rowFactory: RowFactory<R> | undefined;
}

/** Options of `execute()`. */
export interface ExecuteOptions extends ContextOptions {
  /** true: prepare the statement on the server now; false: do not prepare it. @default after `prepareThreshold` executions */
  prepare?: boolean | undefined;
  /** Accepted for compatibility with Psycopg: values load the same in both formats. */
  binary?: boolean | undefined;
  /** Cancels the executions when it is aborted; the connection stays usable. */
  signal?: AbortSignal | undefined;
}

/** Options of `executemany()`. */
export interface ExecuteManyOptions {
  /** Whether to keep the rows that each execution returns, as separate results. @default false */
  returning?: boolean | undefined;
  /** Cancels the executions when it is aborted; the connection stays usable. */
  signal?: AbortSignal | undefined;
}

/** Options of `stream()`. */
export interface StreamOptions {
  /** The number of rows fetched at a time. @default as many as take about 256 KiB */
  size?: number | undefined;
  /** Ends the stream when it is aborted; the loop rejects with the signal's reason. The connection stays usable. */
  signal?: AbortSignal | undefined;
}

/** Options of `copy()` and `withCopy()`. */
export interface CopyOptions {
  /** Ends the COPY when it is aborted; the connection stays usable. */
  signal?: AbortSignal | undefined;
}

/** The class of a connection's cursors: `AsyncCursor` or a subclass. */
export type CursorFactory = new <T>(
  connection: AsyncConnection<unknown>,
  options?: CursorOptions<T>,
) => AsyncCursor<T>;

/** The class of a connection's server-side cursors: `AsyncServerCursor` or a subclass. */
export type ServerCursorFactory = new <T>(
  connection: AsyncConnection<unknown>,
  name: string,
  options?: ServerCursorOptions<T>,
) => AsyncServerCursor<T>;

export const CURSOR = new KnownOptions<CursorOptions<unknown>>('new AsyncCursor(connection, options)', {
  rowFactory: FUNCTION_OR_NULL,
  context: ADAPTERS_OR_NULL,
});

const EXECUTE_KINDS: KindsOf<ExecuteOptions> = {
  prepare: BOOLEAN,
  binary: BOOLEAN,
  signal: SIGNAL,
  context: ADAPTERS_OR_NULL,
};

export const EXECUTE = new KnownOptions<ExecuteOptions>(
  'cursor.execute(query, params, options)',
  EXECUTE_KINDS,
);

/** `conn.execute()` also takes the options of the cursor that it makes. */
export const CONNECTION_EXECUTE = new KnownOptions<ExecuteOptions & CursorOptions<unknown>>(
  'conn.execute(query, params, options)',
  { rowFactory: FUNCTION_OR_NULL, ...EXECUTE_KINDS },
);

export const EXECUTE_MANY = new KnownOptions<ExecuteManyOptions>(
  'cursor.executemany(query, paramsSeq, options)',
  { returning: BOOLEAN, signal: SIGNAL },
);

export const STREAM = new KnownOptions<StreamOptions>('cursor.stream(query, params, options)', {
  // It is checked when the stream begins.
  size: ANYTHING,
  signal: SIGNAL,
});

export const COPY = new KnownOptions<CopyOptions>('cursor.copy(query, params, options)', { signal: SIGNAL });

export const WITH_COPY = new KnownOptions<CopyOptions>(
  'cursor.withCopy(query, async (copy) => { … }, params, options)',
  { signal: SIGNAL },
);
