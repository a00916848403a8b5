import { inspect, type InspectOptionsStylized } from 'node:util';
import * as errors from '../errors/index.js';
import { TYPED } from '../query/brand.js';
import { compareBounds, equalBounds } from './bound-order.js';
import { isDate } from './realm.js';

const BOUNDS: readonly string[] = ['[)', '(]', '[]', '()'];

/**
 * A range of values (Psycopg: `Range`). The built-in range types load as `Range`: `int4range` with numbers, `int8range` with
 * bigints, `numrange`, `daterange` and `tsrange` with strings, `tstzrange` with Dates.
 *
 * When a range is sent, its bounds determine its type, as in Psycopg: `new Int4(1)` makes an `int4range`, `new Numeric('1.5')` a
 * `numrange`, a Date a `tstzrange`. For plain numbers, bigints and strings, the server infers the type from the column or from a
 * cast such as `%s::int4range`.
 *
 * @example
 * const stay = new Range('2024-05-01', '2024-05-08');
 * await conn.execute('INSERT INTO booking (during) VALUES (%s)', [stay]);
 * const cur = await conn.execute('SELECT during FROM booking');
 * const [during] = (await cur.fetchone())!; // Range('2024-05-01', '2024-05-08', '[)')
 */
export class Range<T> {
  /** The lower bound; null if it is unbounded or the range is empty. */
  readonly lower: T | null;
  /** The upper bound; null if it is unbounded or the range is empty. */
  readonly upper: T | null;
  /** Which bounds the range includes: `[)`, `(]`, `[]` or `()`; `''` if it is empty. */
  readonly bounds: string;

  /**
   * `null` as a bound means unbounded. `bounds` says whether each bound is inclusive (`[`, `]`) or exclusive (`(`, `)`); a
   * missing bound is always exclusive. Raises `ProgrammingError` for any other `bounds`, and for an undefined bound.
   */
  constructor(lower: T | null, upper: T | null, bounds = '[)') {
    if (lower === undefined || upper === undefined) {
      throw new errors.ProgrammingError('a bound of a range is undefined; use null where there is none');
    }
    if (bounds === '' ? lower !== null || upper !== null : !BOUNDS.includes(bounds)) {
      throw new errors.ProgrammingError(
        `the bounds of a range are '[)', '(]', '[]' or '()', got ${typeof bounds === 'string' ? `'${bounds}'` : typeof bounds}`,
      );
    }
    this.lower = lower;
    this.upper = upper;
    this.bounds =
      bounds === ''
        ? ''
        : (lower === null ? '(' : bounds.charAt(0)) + (upper === null ? ')' : bounds.charAt(1));
  }

  /** Returns the empty range, which contains nothing (Psycopg: `Range(empty=True)`). */
  static empty<T = never>(): Range<T> {
    return new Range<T>(null, null, '');
  }

  /** @internal */
  get [TYPED](): true {
    return true;
  }

  /** Whether the range is empty. */
  get isempty(): boolean {
    return this.bounds === '';
  }

  /** Whether the lower bound is missing; false for the empty range. */
  get lowerInf(): boolean {
    return !this.isempty && this.lower === null;
  }

  /** Whether the upper bound is missing; false for the empty range. */
  get upperInf(): boolean {
    return !this.isempty && this.upper === null;
  }

  /** Whether the lower bound is inclusive. */
  get lowerInc(): boolean {
    return this.bounds.startsWith('[');
  }

  /** Whether the upper bound is inclusive. */
  get upperInc(): boolean {
    return this.bounds.endsWith(']');
  }

  /**
   * Whether the range contains a value (Psycopg: `value in range`). Strings that are decimal numbers are compared as numbers,
   * exactly; dates and times chronologically; other strings by their characters. Raises `ProgrammingError` for a value that
   * cannot be compared with the bounds.
   */
  contains(value: T): boolean {
    if (this.isempty) return false;
    if (this.lower !== null) {
      const order = compareBounds(value, this.lower);
      if (this.lowerInc ? !(order >= 0) : !(order > 0)) return false;
    }
    if (this.upper !== null) {
      const order = compareBounds(value, this.upper);
      if (this.upperInc ? !(order <= 0) : !(order < 0)) return false;
    }
    return true;
  }

  /** Whether `other` is a range with the same bounds (Psycopg: `==`). */
  equals(other: unknown): boolean {
    return (
      other instanceof Range &&
      this.bounds === other.bounds &&
      equalBounds(this.lower, other.lower) &&
      equalBounds(this.upper, other.upper)
    );
  }

  /** The range in PostgreSQL's notation: `[1, 5)`, `(, 5]`, `empty`. */
  toString(): string {
    if (this.isempty) return 'empty';
    return `${this.bounds.charAt(0)}${shown(this.lower)}, ${shown(this.upper)}${this.bounds.charAt(1)}`;
  }

  [inspect.custom](_depth: number, options: InspectOptionsStylized): string {
    if (this.isempty) return 'Range(empty)';
    return `Range(${[this.lower, this.upper, this.bounds].map((part) => inspect(part, options)).join(', ')})`;
  }
}

function shown(bound: unknown): string {
  if (bound === null) return '';
  if (isDate(bound) && !Number.isNaN(bound.getTime())) return bound.toISOString();
  return (bound as { toString(): string }).toString();
}
