import { describeKind, isAbortSignal } from '../connection/connect-options.js';
import * as errors from '../errors/index.js';

/** Refuses what is not a duration. */
export function checkSeconds(name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw expected(name, 'a number of seconds, 0 or more', value);
  }
}

/** Refuses what does not tell of an abort, its controller say. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !isAbortSignal(value)) throw expected('signal', 'an AbortSignal', value);
}

/** Refuses what is not a whole number, or below `least`. */
export function checkWhole(name: string, value: unknown, least: number): void {
  if (!Number.isInteger(value) || (value as number) < least) {
    throw expected(name, `a whole number, ${String(least)} or more`, value);
  }
}

/** What to say of an argument that can't be. */
export function expected(name: string, what: string, got: unknown): errors.ProgrammingError {
  const shown = typeof got === 'string' ? `the string ${JSON.stringify(got)}` : describeKind(got);
  return new errors.ProgrammingError(`expected \`${name}\` to be ${what}, got ${shown}`);
}
