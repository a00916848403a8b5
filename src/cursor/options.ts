import type { RowFactory } from '../rows.js';

/** Options of a cursor. */
export interface CursorOptions<R> {
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
export interface ExecuteOptions {
  /** true: prepare the statement on the server now; false: do not prepare it. @default after `prepareThreshold` executions */
  prepare?: boolean | undefined;
  /** Accepted for compatibility with Psycopg: values load the same in both formats. */
  binary?: boolean | undefined;
  /** Cancels the statement when it is aborted; the connection stays usable. */
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
