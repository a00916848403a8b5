import * as errors from '../errors/index.js';
import { checkSetting } from './transaction-settings.js';

/** The options of `AsyncConnection.connect()` and their checks; null: no check. */
const OPTIONS: Readonly<Record<string, { readonly what: string; is(value: unknown): boolean } | null>> = {
  // It is checked elsewhere.
  autocommit: null,
  rowFactory: { what: 'a function', is: isFunctionOrNull },
  cursorFactory: { what: 'a class of cursors', is: isFunctionOrNull },
  prepareThreshold: { what: 'a number, 0 or more, or null', is: isThreshold },
  context: { what: 'something that has `adapters`', is: hasAdaptersOrNull },
  signal: { what: 'an AbortSignal', is: isAbortSignal },
};

/** Raises `ProgrammingError` for an unknown option of `AsyncConnection.connect()` or an invalid value. */
export function checkConnectOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new errors.ProgrammingError(
      `expected the options of a connection to be an object, got ${describeKind(options)}`,
    );
  }
  for (const [name, value] of Object.entries(options)) {
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined) {
      throw new errors.ProgrammingError(
        `unknown option \`${name}\` of a connection; the options are ${Object.keys(OPTIONS).join(', ')},` +
          ' and connection parameters of libpq belong in the connection string or the parameters',
      );
    }
    if (value === undefined) continue;
    if (option === null) checkSetting('autocommit', value);
    else if (!option.is(value)) {
      throw new errors.ProgrammingError(
        `expected \`${name}\` to be ${option.what}, got ${describeKind(value)}`,
      );
    }
  }
}

/** Whether a value is an `AbortSignal`, of any realm; its controller is not. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof (value as Partial<AbortSignal>).addEventListener === 'function'
  );
}

/** Describes a value in a message. A string is not shown, since a misplaced one may contain a password. */
export function describeKind(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  if (value === undefined) return 'undefined';
  if (Array.isArray(value)) return 'an array';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const { constructor } = value;
  return typeof constructor === 'function' && constructor !== Object ? constructor.name : 'an object';
}

function isFunctionOrNull(value: unknown): boolean {
  return typeof value === 'function' || value === null;
}

function isThreshold(value: unknown): boolean {
  return value === null || (typeof value === 'number' && value >= 0);
}

function hasAdaptersOrNull(value: unknown): boolean {
  return value === null || (typeof value === 'object' && 'adapters' in value);
}
