import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as errors from '../../src/errors/index.js';
import { load } from './load.js';

describe('numbers load', () => {
  it('int2, int4 and oid as numbers', () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        expect(load('int4', String(n))).toBe(n);
      }),
    );
    expect(load('int2', '-32768')).toBe(-32768);
    expect(load('oid', '4294967295')).toBe(4294967295);
    expect(load('int4', '0')).toBe(0);
  });

  it('int8 as exact bigints', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.integer({ min: 0, max: 63 }),
        (n, bits) => {
          const shorter = n >> BigInt(bits);
          expect(load('int8', String(shorter))).toBe(shorter);
        },
      ),
    );
    expect(load('int8', '-9223372036854775808')).toBe(-(2n ** 63n));
    expect(load('int8', '999999999999999')).toBe(999999999999999n);
  });

  it('float8 correctly rounded, however many digits and wherever the point', () => {
    const digits = fc.stringMatching(/^[0-9]{1,19}$/);
    fc.assert(
      fc.property(digits, fc.nat(24), fc.boolean(), (all, decimals, negative) => {
        const padded = all.padStart(decimals + 1, '0');
        const text = `${negative ? '-' : ''}${padded.slice(0, padded.length - decimals)}${
          decimals === 0 ? '' : `.${padded.slice(padded.length - decimals)}`
        }`;
        expect(load('float8', text)).toBe(Number(text));
      }),
      { numRuns: 20_000 },
    );
    // Halfway between two doubles, and next to it.
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 56n }), fc.nat(16), (n, decimals) => {
        const text = String(n).padStart(decimals + 1, '0');
        const at = text.length - decimals;
        const halfway = decimals === 0 ? text : `${text.slice(0, at)}.${text.slice(at)}`;
        expect(load('float8', halfway)).toBe(Number(halfway));
      }),
      { numRuns: 20_000 },
    );
  });

  it('float8 as the same number that JavaScript reads', () => {
    fc.assert(
      fc.property(fc.double(), (n) => {
        expect(load('float8', Object.is(n, -0) ? '-0' : String(n))).toBe(n);
      }),
    );
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 16n - 1n }),
        fc.integer({ min: 1, max: 15 }),
        fc.boolean(),
        (n, at, negative) => {
          const digits = String(n).padStart(16, '0');
          const text = `${negative ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`;
          expect(load('float8', text)).toBe(Number(text));
          expect(load('float8', digits)).toBe(Number(digits));
        },
      ),
    );
    expect(load('float4', '0.1')).toBe(0.1);
    expect(load('float8', '1e-300')).toBe(1e-300);
  });

  it('numeric as text, exact to the last digit', () => {
    expect(load('numeric', '-12345678901234567890.1234567890')).toBe('-12345678901234567890.1234567890');
    expect(load('numeric', 'NaN')).toBe('NaN');
  });
});

describe('other scalars load', () => {
  it('bool', () => {
    expect([load('bool', 't'), load('bool', 'f')]).toEqual([true, false]);
  });

  it.each(['text', 'varchar', 'bpchar', 'name', '"char"', 'unknown', 'xml', 'inet', 'tsvector', 'point'])(
    '%s as text',
    (type) => {
      expect(load(type, 'é ☃ 😀 "q" \\')).toBe('é ☃ 😀 "q" \\');
      expect(load(type, '')).toBe('');
    },
  );

  it('uuid as text', () => {
    const uuid = '5f1c3d2e-0000-4000-8000-00000000abcd';
    expect(load('uuid', uuid)).toBe(uuid);
  });

  it('json and jsonb parsed', () => {
    expect(load('jsonb', '{"a": [1, null, "é"]}')).toEqual({ a: [1, null, 'é'] });
    expect(load('json', 'null')).toBeNull();
    expect(load('json', '"x"')).toBe('x');
  });

  it('bytea as a Buffer of its own, in both output formats', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const value = Buffer.from(bytes);
        expect(load('bytea', `\\x${value.toString('hex')}`)).toEqual(value);
        const escaped = [...bytes]
          .map((b) => {
            if (b === 0x5c) return '\\\\';
            return b >= 0x20 && b <= 0x7e ? String.fromCharCode(b) : `\\${b.toString(8).padStart(3, '0')}`;
          })
          .join('');
        expect(load('bytea', escaped)).toEqual(value);
      }),
    );
  });
});

describe('timestamptz loads', () => {
  it.each([
    ['2024-01-02 03:04:05+00', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02 03:04:05.6+00', '2024-01-02T03:04:05.600Z'],
    ['2024-01-02 03:04:05.678999+00', '2024-01-02T03:04:05.678Z'],
    ['2024-01-02 03:04:05.000999+00', '2024-01-02T03:04:05.000Z'],
    ['2024-02-29 03:04:05.678901+05:30', '2024-02-28T21:34:05.678Z'],
    ['2024-01-02 03:04:05-08', '2024-01-02T11:04:05.000Z'],
    ['1880-01-01 00:00:00-00:25:21', '1880-01-01T00:25:21.000Z'],
    ['1880-01-01 00:00:00.5+00:19:32', '1879-12-31T23:40:28.500Z'],
    ['1969-12-31 23:59:59.999999+00', '1969-12-31T23:59:59.999Z'],
    ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31 23:59:59+00', '9999-12-31T23:59:59.000Z'],
    ['10000-01-01 00:00:00+00', '+010000-01-01T00:00:00.000Z'],
    ['275760-09-13 00:00:00+00', '+275760-09-13T00:00:00.000Z'],
    ['0001-12-31 23:59:59.25+00 BC', '0000-12-31T23:59:59.250Z'],
    ['0044-03-15 12:00:00+00:49:56 BC', '-000043-03-15T11:10:04.000Z'],
    ['4713-01-01 00:00:00+00 BC', '-004712-01-01T00:00:00.000Z'],
  ])('%s as the Date %s', (text, iso) => {
    expect((load('timestamptz', text) as Date).toISOString()).toBe(iso);
  });

  it('every Date of four-digit years, to the millisecond', () => {
    const min = new Date('0001-01-01T00:00:00Z');
    const max = new Date('9999-12-31T23:59:59Z');
    fc.assert(
      fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => {
        const text = `${date.toISOString().slice(0, -1).replace('T', ' ')}+00`;
        expect(load('timestamptz', text)).toEqual(date);
      }),
    );
  });

  it.each(['infinity', '-infinity', '275760-09-13 00:00:01+00', '294276-12-31 23:59:59+00'])(
    'not %s, which no Date can hold',
    (text) => {
      expect(() => load('timestamptz', text)).toThrow(errors.DataError);
      expect(() => load('timestamptz', text)).toThrow("can't be held by a Date");
    },
  );

  it.each(['02.01.2024 03:04:05 CET', 'Tue Jan 02 03:04:05 2024 UTC', '01/02/2024 03:04:05.123456 UTC'])(
    'nothing wrong from %s: the error names DateStyle',
    (text) => {
      expect(() => load('timestamptz', text)).toThrow(errors.DataError);
      expect(() => load('timestamptz', text)).toThrow('DateStyle');
    },
  );
});

describe('dates, times and intervals load as text', () => {
  it.each([
    ['date', '2024-01-02', '2024-01-02'],
    ['date', '0044-03-15 BC', '0044-03-15 BC'],
    ['date', 'infinity', 'infinity'],
    ['time', '03:04:05.123456', '03:04:05.123456'],
    ['time', '24:00:00', '24:00:00'],
    ['timetz', '03:04:05+05:30', '03:04:05+05:30'],
    ['timestamp', '2024-01-02 03:04:05', '2024-01-02T03:04:05'],
    ['timestamp', '2024-01-02 03:04:05.123456', '2024-01-02T03:04:05.123456'],
    ['timestamp', '10000-01-02 03:04:05', '10000-01-02T03:04:05'],
    ['timestamp', '294276-12-31 23:59:59', '294276-12-31T23:59:59'],
    ['timestamp', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC'],
    ['timestamp', '-infinity', '-infinity'],
    ['timestamp', '02.01.2024 03:04:05', '02.01.2024 03:04:05'],
    ['timestamp', 'Tue Jan 02 03:04:05 2024', 'Tue Jan 02 03:04:05 2024'],
    ['timestamp', '01/02/2024 03:04:05', '01/02/2024 03:04:05'],
    ['interval', '00:00:00', 'PT0S'],
    ['interval', '1 year 2 mons 3 days 04:05:06.789', 'P1Y2M3DT4H5M6.789S'],
    ['interval', '-1 years -2 mons +3 days -04:05:06', 'P-1Y-2M3DT-4H-5M-6S'],
    ['interval', '-1 days +02:03:00', 'P-1DT2H3M'],
    ['interval', '-00:00:00.000001', 'PT-0.000001S'],
    ['interval', '2562047788:00:54.775807', 'PT2562047788H54.775807S'],
    ['interval', '1 mon', 'P1M'],
    ['interval', '1-2 3 4:05:06', '1-2 3 4:05:06'],
    ['interval', '@ 1 year ago', '@ 1 year ago'],
    ['interval', 'P1Y', 'P1Y'],
    ['interval', 'infinity', 'infinity'],
  ])('%s %s as %s', (type, text, loaded) => {
    expect(load(type, text)).toBe(loaded);
  });
});
