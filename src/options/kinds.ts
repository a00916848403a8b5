import { errors } from '../errors/namespace.js';

/** What the value of an option may be. */
export interface Kind {
  /** For the message: expected … to be this. */
  readonly what: string;
  is(value: unknown): boolean;
}

/** The kinds of the options of an interface: each has to be there. */
export type KindsOf<T> = { readonly [K in keyof T as K extends string ? K : never]-?: Kind };

export const ANYTHING: Kind = { what: 'anything', is: () => true };
export const BOOLEAN: Kind = { what: 'true or false', is: (value) => typeof value === 'boolean' };
export const BOOLEAN_OR_NULL: Kind = {
  what: 'true, false or null',
  is: (value) => typeof value === 'boolean' || value === null,
};
export const TEXT: Kind = { what: 'a string', is: (value) => typeof value === 'string' };
export const OBJECT: Kind = { what: 'an object', is: (value) => typeof value === 'object' && value !== null };
export const FUNCTION: Kind = { what: 'a function', is: (value) => typeof value === 'function' };
export const FUNCTION_OR_NULL: Kind = {
  what: 'a function',
  is: (value) => typeof value === 'function' || value === null,
};
export const SECONDS: Kind = {
  what: 'a number of seconds, 0 or more',
  is: (value) => typeof value === 'number' && value >= 0,
};
/** When a statement is prepared, or how many are kept. */
export const COUNT_OR_NULL: Kind = {
  what: 'a number, 0 or more, or null',
  is: (value) => value === null || (typeof value === 'number' && value >= 0),
};
export const ITERABLE: Kind = {
  what: 'an iterable',
  is: (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
};
export const SIGNAL: Kind = { what: 'an AbortSignal', is: isAbortSignal };
export const ADAPTERS_OR_NULL: Kind = {
  what: 'a connection, a cursor or an adapters map',
  is: (value) =>
    value === null || (typeof value === 'object' && isAdaptersMap(Reflect.get(value, 'adapters'))),
};

/** Recognizes an adapters map by a method, since this module does not know the class. */
function isAdaptersMap(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, 'registerLoader') === 'function'
  );
}

/** A whole number of at least `least`. */
export function whole(least: number): Kind {
  return {
    what: `a whole number, ${String(least)} or more`,
    is: (value) => Number.isInteger(value) && (value as number) >= least,
  };
}

/** Refuses the value of the option or property `name` unless it is of a kind. */
export function checkKind(name: string, value: unknown, kind: Kind): void {
  if (!kind.is(value)) throw expected(`\`${name}\``, kind.what, value);
}

/** Refuses an argument unless it is of a kind. `argument` describes it: `the argument of argsRow()`. */
export function checkArgument(argument: string, value: unknown, kind: Kind): void {
  if (!kind.is(value)) throw expected(argument, kind.what, value);
}

/** The error of a value that `name` can't have. */
export function expected(name: string, what: string, got: unknown): errors.ProgrammingError {
  const shown =
    typeof got === 'string' ? `the string ${JSON.stringify(got.slice(0, 40))}` : describeKind(got);
  return new errors.ProgrammingError(`expected ${name} to be ${what}, got ${shown}`);
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

/** Whether a value is an `AbortSignal`, of any realm; its controller is not. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof (value as Partial<AbortSignal>).addEventListener === 'function'
  );
}
