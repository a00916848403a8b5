import * as errors from '../errors/index.js';
import type { DumpedParam } from './adaptation.js';
import { checkMicroseconds, secondsEast } from './date-text.js';
import { Oids } from './oids.js';
import { Wrapper } from './wrappers.js';

const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/;
/** The server accepts offsets below 16 hours. */
const OFFSET = /^[+-](?:0\d|1[0-5])(?::[0-5]\d){0,2}$/;

/**
 * A time of day with an offset from UTC, for which Temporal has no class. After `registerTemporal()`, timetz loads as
 * `OffsetTime`; it can also be sent. JDBC maps timetz to the OffsetTime of java.time in the same way.
 *
 * @example
 * const [opens] = (await cur.fetchone())!; // OffsetTime 09:30:00+05:45
 * opens.time.hour; // 9: a Temporal.PlainTime
 * await conn.execute('INSERT INTO shop (opens) VALUES (%s)', [new OffsetTime(Temporal.PlainTime.from('09:30'), '+05:45')]);
 */
export class OffsetTime<T extends { toString(): string } = { toString(): string }> extends Wrapper {
  /** The time of day, a `Temporal.PlainTime`. */
  readonly time: T;
  /** The offset from UTC, positive east of Greenwich: `+05:45`, `-08`, `+00:19:32`. */
  readonly offset: string;

  /** Raises `DataError` if `time` is no `Temporal.PlainTime`, or for a malformed offset. */
  constructor(time: T, offset: string) {
    super();
    if (typeof (time as unknown) !== 'object' || !TIME.test(String(time))) {
      throw new errors.DataError(`OffsetTime takes a Temporal.PlainTime, got ${String(time)}`);
    }
    if (!OFFSET.test(offset)) {
      throw new errors.DataError(`OffsetTime takes an offset such as '+05:45', got ${offset}`);
    }
    this.time = time;
    this.offset = offset;
  }

  /**
   * Orders as the server orders timetz: by the times in UTC and, for equal times, from east to west. Returns -1 if `one` comes
   * before `two`, 1 if it comes after, and 0 if they are equal.
   */
  static compare(one: OffsetTime, two: OffsetTime): -1 | 0 | 1 {
    const [first, second] = [secondsEast(one.offset), secondsEast(two.offset)];
    const later = nanoseconds(one.time) - nanoseconds(two.time) - (first - second) * NANOSECONDS_PER_SECOND;
    return (Math.sign(later) || Math.sign(second - first)) as -1 | 0 | 1;
  }

  /** Whether `other` has an equal time and an equal offset; `+01` equals `+01:00`. */
  equals(other: OffsetTime): boolean {
    return OffsetTime.compare(this, other) === 0;
  }

  /** The text of timetz: `09:30:00+05:45`. */
  override toString(): string {
    return `${String(this.time)}${this.offset}`;
  }

  /** The text of timetz, for `JSON.stringify()`. */
  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  override dump(place: string): DumpedParam {
    return { text: checkMicroseconds(this.toString(), place), oid: Oids.timetz };
  }
}

const NANOSECONDS_PER_SECOND = 1_000_000_000;

/** Nanoseconds since midnight. */
function nanoseconds(time: { toString(): string }): number {
  const [, hours, minutes, seconds = '0', fraction = ''] = TIME.exec(time.toString())!;
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return whole * NANOSECONDS_PER_SECOND + Number(fraction.padEnd(9, '0'));
}
