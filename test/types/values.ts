import fc from 'fast-check';

// Texts of values of each type: random values, with extremes more frequent than by chance.

const two = (n: number): string => String(n).padStart(2, '0');

const DAY = 86_400_000;
/** The first day of PostgreSQL's range, and the last of a Date's. */
const FIRST_DAY = Math.ceil(Date.UTC(-4713, 10, 24) / DAY);
const LAST_DAY = 100_000_000;

/** A day in PostgreSQL's form: the date, and the era that follows the date and the time. */
type Day = readonly [date: string, era: '' | ' BC'];

function dayOf(days: number): Day {
  const iso = new Date(days * DAY).toISOString().slice(0, -14);
  const year = Number(iso.slice(0, -6));
  const rest = iso.slice(-6);
  return year > 0
    ? [`${String(year).padStart(4, '0')}${rest}`, '']
    : [`${String(1 - year).padStart(4, '0')}${rest}`, ' BC'];
}

/** Days of common years, of all years, and of the edges of both. */
const days = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -25_567, max: 29_219 }) },
  { weight: 2, arbitrary: fc.integer({ min: -719_162, max: 2_932_896 }) },
  { weight: 2, arbitrary: fc.integer({ min: FIRST_DAY, max: LAST_DAY - 1 }) },
  fc.constantFrom(FIRST_DAY, -719_528, -719_163, -719_162, -1, 0, 11_016, 2_932_896, 2_932_897, LAST_DAY - 1),
);
/** Days of years beyond a Date's range. */
const lateDay = (lastYear: number): fc.Arbitrary<Day> =>
  fc
    .tuple(
      fc.integer({ min: 275_761, max: lastYear }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
    )
    .map(([year, month, day]) => [`${String(year)}-${two(month)}-${two(day)}`, '']);

const micros = fc.oneof(
  fc.constant(0),
  fc.nat({ max: 999_999 }),
  fc.nat({ max: 999 }).map((n) => n * 1000),
  fc.constantFrom(1, 999, 1000, 999_999),
);
const clock = fc
  .tuple(fc.nat({ max: 86_399 }), micros)
  .map(
    ([seconds, fraction]) =>
      `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}` +
      (fraction === 0 ? '' : `.${String(fraction).padStart(6, '0')}`),
  );
/** Offsets from UTC: whole hours, minutes and seconds. */
const offset = fc
  .tuple(
    fc.constantFrom('+', '-'),
    fc.nat({ max: 15 }),
    fc.nat({ max: 59 }),
    fc.nat({ max: 59 }),
    fc.nat({ max: 3 }),
  )
  .map(
    ([sign, h, m, s, parts]) => `${sign}${[two(h), two(m), two(s)].slice(0, Math.max(1, parts)).join(':')}`,
  );

const written = ([date, era]: Day): string => date + era;
const stamped = ([[date, era], time]: readonly [Day, string]): string => `${date} ${time}${era}`;
const infinities = fc.constantFrom('infinity', '-infinity');

/** Dates within the ranges of Temporal and Date. */
export const reachableDate = days.map(dayOf).map(written);
export const reachableTimestamp = fc.tuple(days.map(dayOf), clock).map(stamped);
export const reachableInstant = fc
  .tuple(days.map(dayOf), clock)
  .map(([[date, era], time]) => `${date} ${time}+00${era}`);
export const clockTime = clock;
export const offsetTime = fc.tuple(clock, offset).map((parts) => parts.join(''));

const int32 = fc.oneof(
  fc.integer(),
  fc.integer({ min: -40, max: 40 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 0, 12, -12, 11, 13),
);
const span = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -200_000_000_000n, max: 200_000_000_000n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, 1n, -1n, 1_000_000n, 3_600_000_000n),
);
function interval(months: number, dayCount: number, microseconds: bigint): string {
  return `${String(months)} months ${String(dayCount)} days ${String(microseconds)} microseconds`;
}
/** Intervals whose fields have the same sign. */
export const unmixedInterval = fc
  .tuple(
    fc.nat({ max: 2 ** 31 - 1 }),
    fc.nat({ max: 2 ** 31 - 1 }),
    fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    fc.nat({ max: 7 }),
    fc.boolean(),
  )
  .map(([months, dayCount, microseconds, which, negative]) => {
    const parts = [which & 1 ? months : 0, which & 2 ? dayCount : 0, which & 4 ? microseconds : 0n] as const;
    const [m, d, u] = parts;
    // All three at their maximum would be infinity.
    return negative ? interval(-m, -d, -u) : interval(m >> 1, d, u);
  });

const digits = (max: number): fc.Arbitrary<string> =>
  fc.oneof(fc.stringMatching(/^[0-9]{1,20}$/), fc.stringMatching(new RegExp(`^[0-9]{1,${String(max)}}$`)));
const numeric = fc.oneof(
  {
    weight: 60,
    arbitrary: fc
      .tuple(fc.boolean(), digits(60), fc.option(digits(60)))
      .map(([minus, whole, part]) => `${minus ? '-' : ''}${whole}${part === null ? '' : `.${part}`}`),
  },
  { weight: 10, arbitrary: fc.integer({ min: -400, max: 400 }).map((e) => `-12.345e${String(e)}`) },
  {
    weight: 8,
    arbitrary: fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '0.000', '-0', '1e-20', '1e50'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('1e-16383', '-9.99e-16380', '1e16383', '-1e16383', `0.${'0'.repeat(16_382)}1`),
  },
);

/** Floats of every bit pattern, beside fast-check's preferred ones. */
const bits8 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
});
const bits4 = fc.nat({ max: 2 ** 32 - 1 }).map((bits) => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits);
  return view.getFloat32(0);
});
const decimal = fc
  .tuple(fc.integer(), fc.nat({ max: 999_999 }))
  .map(([a, b]) => Number(`${String(a)}.${String(b)}`));
const floatText = (n: number): string => (Object.is(n, -0) ? '-0' : String(n));

export const text = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
    fc.string({
      unit: fc.constantFrom('a', '"', '\\', ',', '{', '}', ' ', 'N', 'é', '\n', "'", '😀', '%', '$1'),
    }),
    fc.constantFrom('', 'NULL', 'null', ' ', '\\', '\\x', '{}', '"'),
  )
  .filter((value) => !value.includes('\0'));

/** JSON that jsonb can hold, except a null, which would be read as NULL. */
const json = fc
  .oneof(
    fc.jsonValue({ stringUnit: 'binary', maxDepth: 3 }),
    fc.constantFrom(true, false, 0, -1.5, 1e300, 9_007_199_254_740_991, '', '\\', '"', [], {}, [null], {
      a: null,
    }),
  )
  .filter((value) => value !== null)
  .map((value) => JSON.stringify(value))
  .filter((value) => !value.includes('\\u'));

export const SCALARS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int2: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  int4: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String),
  int8: fc
    .tuple(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat({ max: 63 }))
    .map(([n, shift]) => String(n >> BigInt(shift))),
  oid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  float4: fc.oneof(fc.float(), bits4, decimal.map(Math.fround)).map(floatText),
  float8: fc.oneof(fc.double(), bits8, decimal, fc.integer()).map(floatText),
  numeric,
  text,
  bytea: fc.uint8Array({ maxLength: 40 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  bool: fc.constantFrom('t', 'f'),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) =>
    Buffer.from(bytes)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  ),
  json,
  jsonb: json,
  date: fc.oneof(
    { weight: 10, arbitrary: reachableDate },
    lateDay(5_874_896).map(written),
    infinities,
    fc.constantFrom('4713-11-24 BC', '5874897-12-31', '0001-12-31 BC', '0001-01-01'),
  ),
  time: fc.oneof(
    { weight: 20, arbitrary: clock },
    fc.constantFrom('24:00:00', '00:00:00', '23:59:59.999999'),
  ),
  timetz: fc.oneof(
    { weight: 20, arbitrary: offsetTime },
    fc.constantFrom('24:00:00+00', '00:00:00+15:59:59', '23:59:59.999999-15:59:59'),
  ),
  timestamp: fc.oneof(
    { weight: 10, arbitrary: reachableTimestamp },
    fc.tuple(lateDay(294_276), clock).map(stamped),
    infinities,
    fc.constantFrom(
      '4713-11-24 00:00:00 BC',
      '294276-12-31 23:59:59.999999',
      '0001-12-31 23:59:59.999999 BC',
    ),
  ),
  timestamptz: fc.oneof(
    { weight: 10, arbitrary: reachableInstant },
    fc
      .tuple(fc.integer({ min: -719_161, max: 2_932_895 }).map(dayOf), clock, offset)
      .map(([[date], time, zone]) => `${date} ${time}${zone}`),
  ),
  interval: fc
    .oneof(
      { weight: 20, arbitrary: fc.tuple(int32, int32, span).map((parts) => interval(...parts)) },
      fc.constantFrom(
        '0',
        '-1 year',
        '1 mon -1 day',
        '-00:00:00.000001',
        '1 year 2 mons -3 days +04:05:06',
        '-100:00:00',
      ),
    )
    .filter(
      (value) =>
        value !== interval(-(2 ** 31), -(2 ** 31), -(2n ** 63n)) &&
        value !== interval(2 ** 31 - 1, 2 ** 31 - 1, 2n ** 63n - 1n),
    ),
};

/** An array literal, with or without lower bounds. */
export interface ArrayText {
  readonly literal: string;
  readonly plain: string;
}

/** Arrays of one to three dimensions whose elements are these texts or NULL. */
export function arraysOf(element: fc.Arbitrary<string>): fc.Arbitrary<ArrayText> {
  const item = fc.option(element, { freq: 6 }).map((value) => (value === null ? 'NULL' : quoted(value)));
  const lengths = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
  const empty = fc.constant<ArrayText>({ literal: '{}', plain: '{}' });
  const full = lengths.chain((shape) => {
    const count = shape.reduce((product, length) => product * length, 1);
    const bounds = fc.option(fc.tuple(...shape.map(() => fc.integer({ min: -5, max: 5 }))));
    return fc.tuple(fc.array(item, { minLength: count, maxLength: count }), bounds).map(([items, lower]) => {
      const plain = nested(items, shape);
      const prefix = lower?.map((from, i) => `[${String(from)}:${String(from + shape[i]! - 1)}]`).join('');
      return { plain, literal: prefix === undefined ? plain : `${prefix}=${plain}` };
    });
  });
  return fc.oneof({ weight: 1, arbitrary: empty }, { weight: 30, arbitrary: full });
}

function nested(items: readonly string[], [length, ...shape]: readonly number[]): string {
  if (shape.length === 0) return `{${items.join(',')}}`;
  const size = items.length / length!;
  const rows = Array.from({ length: length! }, (_, i) =>
    nested(items.slice(i * size, (i + 1) * size), shape),
  );
  return `{${rows.join(',')}}`;
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
