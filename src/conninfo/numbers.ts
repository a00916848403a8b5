import * as errors from '../errors/index.js';

/** The value of a parameter, which counts as not given if it is empty. */
export function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** Parses a parameter that is a C int to libpq. Raises `OperationalError` for other text. */
export function integer(name: string, value: string): number {
  const text = value.trim();
  if (!/^[+-]?\d+$/.test(text) || Math.abs(Number(text)) > 2 ** 31 - 1) {
    throw new errors.OperationalError(
      `invalid integer value "${value}" for connection option "${name}", which is a whole number${name === 'keepalives' ? ', 0 or 1' : ' of seconds'}`,
    );
  }
  return Number(text);
}

/** As in libpq, 0 and negative values leave the idle time to the operating system. */
export function idleSeconds(value: string | undefined): number | null {
  const seconds = integer('keepalives_idle', nonEmpty(value) ?? '0');
  return seconds <= 0 ? null : seconds;
}

/** The limit on connecting, in seconds, if neither the caller nor `connect_timeout` sets one. Psycopg uses the same. */
export const DEFAULT_CONNECT_TIMEOUT = 130;

/** Parses `connect_timeout`, in seconds. As in libpq, 0 and negative values mean no limit, and 1 means 2. */
export function connectTimeout(value: string | undefined): number | null {
  const text = nonEmpty(value);
  if (text === undefined) return null;
  const seconds = integer('connect_timeout', text);
  return seconds <= 0 ? null : Math.max(2, seconds);
}
