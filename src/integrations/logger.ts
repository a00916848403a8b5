import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { errors, type QueryMessage } from '../index.js';
import { CallOptions } from '../options/call-options.js';
import { BOOLEAN, SECONDS } from '../options/kinds.js';

/** A logger that takes fields first and a message second, as pino's and Fastify's do. */
export interface StructuredLogger {
  /** Statements that have succeeded. */
  debug(fields: object, message: string): void;
  /** Slow statements. */
  warn(fields: object, message: string): void;
  /** Statements that have failed. */
  error(fields: object, message: string): void;
  /** Whether a level is written, so that no entry is made in vain. */
  isLevelEnabled?(level: string): boolean;
}

/** A logger of lines, which is known by its method `log`: `console`, and most others. */
export interface LineLogger {
  /** It is not called; a logger with this method takes lines. */
  log(...data: never[]): void;
  /** Statements that have succeeded. */
  debug(line: string): void;
  /** Slow statements. */
  warn(line: string): void;
  /** Statements that have failed. */
  error(line: string): void;
}

/** Options of `logQueries()`. */
export interface LogOptions {
  /** The seconds from which on a statement is slow. @default none is slow */
  slow?: number | undefined;
  /**
   * Whether the values of parameters are logged, the first hundred characters of each, and the texts of errors, which quote values.
   * @default false
   */
  values?: boolean | undefined;
}

type Level = 'debug' | 'warn' | 'error';

const MOST_QUERY = 2000;
const MOST_VALUES = 20;
const MOST_VALUE = 100;
const OPTIONS = new CallOptions<LogOptions>('logQueries(logger, options)', {
  slow: SECONDS,
  values: BOOLEAN,
});

/**
 * Logs each statement of this process when it has ended, in one entry: at the level `debug`, at `warn` if it took `slow` seconds or
 * longer, and at `error` with its SQLSTATE if it failed. What a program writes into a query's text itself is logged, values of
 * parameters only with `values`. Returns what ends it. What the logger throws becomes an uncaught exception of the process, and does
 * not concern the statement. Raises `ProgrammingError` for an invalid option, and for what is no logger.
 *
 * @example
 * import { logQueries } from 'usingpg/logger';
 * const stop = logQueries(console, { slow: 0.5 });
 */
export function logQueries(logger: StructuredLogger | LineLogger, options: LogOptions = {}): () => void {
  checkLogger(logger);
  OPTIONS.check(options);
  const { slow = Infinity, values = false } = options;
  const write = 'log' in logger ? lineWriter(logger, values) : fieldWriter(logger, values);
  const onEnd = (published: unknown): void => {
    const message = published as QueryMessage;
    if (message.error !== undefined) write('error', message);
    else write(message.seconds! >= slow ? 'warn' : 'debug', message);
  };
  subscribe('tracing:usingpg:query:asyncEnd', onEnd);
  return () => {
    unsubscribe('tracing:usingpg:query:asyncEnd', onEnd);
  };
}

type Write = (level: Level, message: QueryMessage) => void;

function fieldWriter(logger: StructuredLogger, withValues: boolean): Write {
  return (level, message) => {
    if (logger.isLevelEnabled?.(level) === false) return;
    const { pool, host, port, dbname, backendPid, tag, rowcount, batchSize, kind, seconds, sqlstate } =
      message;
    const fields = {
      query: shortened(message.query, MOST_QUERY),
      kind,
      seconds,
      rowcount,
      tag,
      ...(batchSize > 1 && { batchSize }),
      ...(pool !== null && { pool }),
      host,
      port,
      dbname,
      backendPid,
      ...(withValues && { values: valuesOf(message) }),
      ...(message.error !== undefined && { sqlstate, ...errorFields(message.error, withValues) }),
    };
    logger[level](fields, summaryOf(message, withValues));
  };
}

/** pino prints an error as `err` with its message, its stack and its properties, among them the server's report. */
function errorFields(error: unknown, withValues: boolean): object {
  return withValues ? { err: error } : { error: nameOf(error) };
}

function lineWriter(logger: LineLogger, withValues: boolean): Write {
  return (level, message) => {
    const { pool, backendPid } = message;
    const query = shortened(message.query, MOST_QUERY).replace(/\s+/g, ' ').trim();
    const values = withValues ? valuesOf(message) : [];
    const shown = values.length === 0 ? '' : ` ${JSON.stringify(values)}`;
    const where = `${pool === null ? '' : `${pool} `}${String(backendPid)}`;
    logger[level](`usingpg ${where}: ${summaryOf(message, withValues)}: ${query}${shown}`);
  };
}

/** What came of a statement, and how long it took: `SELECT 3 in 1.2 ms`. */
function summaryOf(
  { error, sqlstate, tag, seconds, batchSize, kind }: QueryMessage,
  withText: boolean,
): string {
  const times = batchSize > 1 ? `, ${String(batchSize)} executions` : '';
  const duration = `${(seconds! * 1000).toFixed(1)} ms`;
  if (error === undefined) return `${tag ?? kind} in ${duration}${times}`;
  const state = sqlstate === null ? '' : ` ${sqlstate}`;
  const text = withText && error instanceof Error ? ` (${error.message.split('\n', 1)[0]!})` : '';
  return `${nameOf(error)}${state} after ${duration}${times}${text}`;
}

/** The values of the first execution. */
function valuesOf({ values }: QueryMessage): (string | null)[] {
  const first = values()[0] ?? [];
  const shown = first
    .slice(0, MOST_VALUES)
    .map((value) => (value === null ? null : shortened(value, MOST_VALUE)));
  return first.length > MOST_VALUES ? [...shown, `… ${String(first.length - MOST_VALUES)} more`] : shown;
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${String(text.length)} characters)` : text;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error);
}

function checkLogger(logger: unknown): void {
  const methods = ['debug', 'warn', 'error'];
  const missing = methods.find(
    (name) => typeof (logger as Record<string, unknown> | null)?.[name] !== 'function',
  );
  if (missing !== undefined) {
    throw new errors.ProgrammingError(
      `logQueries() needs a logger with the methods ${methods.join(', ')}, such as \`console\` or pino's, and this one has no \`${missing}\``,
    );
  }
}
