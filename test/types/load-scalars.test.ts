import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { load } from './load.js';

describe('numbers load', () => {
  it.each<[string, string, unknown]>([
    ['int2', '-32768', -32_768],
    ['int4', '2147483647', 2_147_483_647],
    ['int4', '0', 0],
    ['oid', '4294967295', 4_294_967_295],
    ['int8', '9223372036854775807', 9_223_372_036_854_775_807n],
    ['int8', '-9223372036854775808', -9_223_372_036_854_775_808n],
    ['int8', '999999999999999', 999_999_999_999_999n],
    ['int8', '7', 7n],
    ['float8', '1.5', 1.5],
    ['float8', '-0', -0],
    ['float8', 'NaN', NaN],
    ['float8', 'Infinity', Infinity],
    ['float8', '-Infinity', -Infinity],
    ['float8', '1e+300', 1e300],
    ['float8', '1e-300', 1e-300],
    ['float8', '9007199254740993', 9_007_199_254_740_992],
    ['float4', '0.1', 0.1],
    ['numeric', '1.50', '1.50'],
    ['numeric', 'NaN', 'NaN'],
    ['numeric', '-12345678901234567890.1234567890', '-12345678901234567890.1234567890'],
  ])('%s %s as %o', (type, text, expected) => {
    expect(load(type, text)).toBe(expected);
  });

  it('int4 as any integer, int8 as any bigint of 64 bits', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.integer({ min: 0, max: 63 }),
        (small, large, bits) => {
          const shorter = large >> BigInt(bits);
          expect(load('int4', String(small))).toBe(small);
          expect(load('int8', String(large))).toBe(large);
          expect(load('int8', String(shorter))).toBe(shorter);
        },
      ),
    );
  });

  it('float8 correctly rounded, with any number of digits and any position of the point', () => {
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
      fc.property(
        fc.oneof(
          fc.double(),
          fc.integer(),
          fc
            .tuple(fc.integer(), fc.nat({ max: 999_999 }))
            .map(([a, b]) => Number(`${String(a)}.${String(b)}`)),
        ),
        (n) => {
          expect(load('float8', Object.is(n, -0) ? '-0' : String(n))).toBe(n);
        },
      ),
      { numRuns: 2000 },
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
  });
});

describe('other scalars load', () => {
  it.each<[string, string, unknown]>([
    ['bool', 't', true],
    ['bool', 'f', false],
    ['text', '', ''],
    ['text', 'größe 😀', 'größe 😀'],
    ['varchar', 'NULL', 'NULL'],
    ['bytea', '\\x00ff', Buffer.from([0, 255])],
    ['bytea', '\\x', Buffer.alloc(0)],
    ['bytea', 'a\\\\b\\000\\377', Buffer.from([0x61, 0x5c, 0x62, 0, 255])],
    ['json', '{"a": [1, null]}', { a: [1, null] }],
    ['json', 'null', null],
    ['json', '"x"', 'x'],
    ['jsonb', 'null', null],
    ['jsonb', '{"a": [1, null, "é"]}', { a: [1, null, 'é'] }],
    ['uuid', '5f1c3d2e-0000-4000-8000-00000000abcd', '5f1c3d2e-0000-4000-8000-00000000abcd'],
    ['inet', '::1/128', '::1/128'],
    ['point', '(1,2)', '(1,2)'],
  ])('%s %j as %o', (type, text, expected) => {
    expect(load(type, text)).toEqual(expected);
  });

  it.each(['text', 'varchar', 'bpchar', 'name', 'unknown', 'xml', 'money', 'tsvector', 'point'])(
    '%s as text',
    (type) => {
      expect(load(type, 'é ☃ 😀 "q" \\')).toBe('é ☃ 😀 "q" \\');
      expect(load(type, '')).toBe('');
    },
  );

  it('text of any characters', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii', maxLength: 60 })),
        (text) => {
          expect(load('text', text)).toBe(text);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('an unknown type as the server’s text', () => {
    expect(adapters.loaderFor(99_999)(Buffer.from('xyz'), 0, 3)).toBe('xyz');
  });

  it('bytea as a separate Buffer, in both output formats', () => {
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
