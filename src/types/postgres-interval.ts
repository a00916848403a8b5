import type { IntervalFields } from './interval.js';

const UNITS = ['years', 'months', 'days', 'hours', 'minutes', 'seconds'] as const;
type Unit = (typeof UNITS)[number];

/**
 * An interval as node-postgres has it, by the map of `pgTypes()`: an object with a property for each part that is not zero. It may
 * be sent again with that map.
 *
 * @example
 * const cur = await conn.execute("SELECT '1 day 02:30'::interval", null, { context: pgTypes(adapters) });
 * const [{ days, hours, minutes }] = (await cur.fetchone())!; // 1, 2, 30
 */
export class PostgresInterval {
  // `declare` keeps a part that is zero from being a property whose value is undefined.

  /** Years; absent if zero, like all parts. */
  declare readonly years?: number;
  /** Months, from -11 to 11. */
  declare readonly months?: number;
  /** Days, of any number. */
  declare readonly days?: number;
  /** Hours, of any number. */
  declare readonly hours?: number;
  /** Minutes, from -59 to 59. */
  declare readonly minutes?: number;
  /** Whole seconds, from -59 to 59. */
  declare readonly seconds?: number;
  /** The rest, with up to three fractional digits: microseconds. */
  declare readonly milliseconds?: number;

  /** @internal */
  constructor({ years, months, days, hours, minutes, microseconds }: IntervalFields) {
    if (years !== 0) this.years = years;
    if (months !== 0) this.months = months;
    if (days !== 0) this.days = days;
    if (hours !== 0) this.hours = hours;
    if (minutes !== 0) this.minutes = minutes;
    const seconds = Math.trunc(microseconds / 1_000_000);
    if (seconds !== 0) this.seconds = seconds;
    const rest = microseconds % 1_000_000;
    if (rest !== 0) this.milliseconds = rest / 1000;
  }

  /** The interval as text for the server: `4 hours 3 days`. */
  toPostgres(): string {
    const parts = UNITS.filter((unit) => this.#text(unit) !== '0').map(
      (unit) => `${this.#text(unit)} ${unit}`,
    );
    return parts.length === 0 ? '0' : parts.reverse().join(' ');
  }

  /** The interval as an ISO 8601 duration with all parts: `P0Y0M3DT4H0M0S`. */
  toISOString(): string {
    const [years, months, days, hours, minutes, seconds] = UNITS.map((unit) => this.#text(unit));
    return `P${years!}Y${months!}M${days!}DT${hours!}H${minutes!}M${seconds!}S`;
  }

  /** The same as `toISOString()`. */
  toISO(): string {
    return this.toISOString();
  }

  #text(unit: Unit): string {
    const whole = this[unit] ?? 0;
    if (unit !== 'seconds' || this.milliseconds === undefined) return String(whole);
    return (whole + this.milliseconds / 1000).toFixed(6).replace(/0+$/, '');
  }
}
