import { inspect, type InspectOptionsStylized } from 'node:util';
import * as errors from '../errors/index.js';
import { checkArgument, describeKind, ITERABLE } from '../options/kinds.js';
import { TYPED } from '../query/brand.js';
import { Range } from './range.js';

/**
 * A set of values as a list of ranges (Psycopg: `Multirange`). The built-in multirange types load as `Multirange`, with the
 * bounds that their ranges have. When one is sent, its bounds determine the type, as for a `Range`.
 *
 * @example
 * const free = new Multirange([new Range(9, 12), new Range(14, 18)]);
 * await conn.execute('UPDATE room SET hours = %s::int4multirange', [free]);
 */
export class Multirange<T> implements Iterable<Range<T>> {
  /** The ranges. The server sorts them and merges those that touch. */
  readonly ranges: readonly Range<T>[];

  /** Raises `ProgrammingError` for an element that is not a `Range`. */
  constructor(ranges: Iterable<Range<T>> = []) {
    checkArgument('the ranges of a Multirange', ranges, ITERABLE);
    const list: Range<T>[] = [];
    for (const range of ranges as Iterable<unknown>) {
      if (!(range instanceof Range)) {
        throw new errors.ProgrammingError(
          `a Multirange is made of Range objects, got ${describeKind(range)} at index ${String(list.length)}`,
        );
      }
      list.push(range as Range<T>);
    }
    this.ranges = list;
  }

  /** @internal */
  get [TYPED](): true {
    return true;
  }

  /** The number of ranges. */
  get length(): number {
    return this.ranges.length;
  }

  /** Returns the range at `index`; a negative index counts from the end. */
  at(index: number): Range<T> | undefined {
    return this.ranges.at(index);
  }

  [Symbol.iterator](): Iterator<Range<T>> {
    return this.ranges[Symbol.iterator]();
  }

  /** Whether one of the ranges contains a value. Raises `ProgrammingError` for a value that cannot be compared with the bounds. */
  contains(value: T): boolean {
    return this.ranges.some((range) => range.contains(value));
  }

  /** Whether `other` is a multirange of equal ranges in the same order (Psycopg: `==`). */
  equals(other: unknown): boolean {
    return (
      other instanceof Multirange &&
      this.length === other.length &&
      this.ranges.every((range, i) => range.equals(other.ranges[i]))
    );
  }

  /** The multirange in PostgreSQL's notation: `{[1, 5), [7, 9)}`. */
  toString(): string {
    return `{${this.ranges.join(', ')}}`;
  }

  [inspect.custom](_depth: number, options: InspectOptionsStylized): string {
    return `Multirange(${inspect(this.ranges, options)})`;
  }
}
