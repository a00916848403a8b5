import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { errors } from '../../src/index.js';
import { connect } from '../support/database.js';
import { load } from './load.js';

/** Loads on a session whose server has reported these settings. */
function loadWith(settings: Readonly<Record<string, string>>, type: string, text: string): unknown {
  return load(type, text, adapters.cloneFor(new Map(Object.entries(settings))));
}

describe('timestamptz loads', () => {
  it.each([
    ['2024-01-02 03:04:05+00', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02 03:04:05.1+00', '2024-01-02T03:04:05.100Z'],
    ['2024-01-02 03:04:05.6+00', '2024-01-02T03:04:05.600Z'],
    ['2024-01-02 03:04:05.678999+00', '2024-01-02T03:04:05.678Z'],
    ['2024-01-02 03:04:05.000999+00', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02 03:04:05.000001-08', '2024-01-02T11:04:05.000Z'],
    ['2024-01-02 03:04:05+05:45', '2024-01-01T21:19:05.000Z'],
    ['2024-02-29 03:04:05.678901+05:30', '2024-02-28T21:34:05.678Z'],
    ['2024-02-29 23:59:59.999+00', '2024-02-29T23:59:59.999Z'],
    ['2024-01-02 03:04:05-08', '2024-01-02T11:04:05.000Z'],
    ['1880-01-01 00:00:00-00:25:21', '1880-01-01T00:25:21.000Z'],
    ['1880-01-01 00:00:00.5+00:19:32', '1879-12-31T23:40:28.500Z'],
    ['1883-11-18 11:59:59-04:56:02', '1883-11-18T16:56:01.000Z'],
    ['1969-12-31 23:59:59.999999+00', '1969-12-31T23:59:59.999Z'],
    ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31 23:59:59+00', '9999-12-31T23:59:59.000Z'],
    ['10000-01-01 00:00:00+00', '+010000-01-01T00:00:00.000Z'],
    ['12345-06-07 08:09:10.5+00', '+012345-06-07T08:09:10.500Z'],
    ['275760-09-13 00:00:00+00', '+275760-09-13T00:00:00.000Z'],
    ['0001-12-31 00:00:00.25+00 BC', '0000-12-31T00:00:00.250Z'],
    ['0001-12-31 23:59:59.25+00 BC', '0000-12-31T23:59:59.250Z'],
    ['0044-03-15 12:00:00+00 BC', '-000043-03-15T12:00:00.000Z'],
    ['0044-03-15 12:00:00+00:49:56 BC', '-000043-03-15T11:10:04.000Z'],
    ['0044-03-15 12:00:00.999999-00:49:56 BC', '-000043-03-15T12:49:56.999Z'],
    ['4713-01-01 00:00:00+00 BC', '-004712-01-01T00:00:00.000Z'],
  ])('%s as the Date %s', (text, iso) => {
    expect((load('timestamptz', text) as Date).toISOString()).toBe(iso);
  });

  it('every Date of four-digit years, to the millisecond, whatever the offset', () => {
    const instant = fc.date({
      min: new Date('0001-01-03'),
      max: new Date('9999-12-29'),
      noInvalidDate: true,
    });
    const two = (n: number): string => String(n).padStart(2, '0');
    fc.assert(
      fc.property(instant, fc.integer({ min: -16 * 3600 + 1, max: 16 * 3600 - 1 }), (date, offset) => {
        const seconds = Math.abs(offset);
        const local = new Date(date.getTime() + offset * 1000).toISOString().slice(0, -1).replace('T', ' ');
        const written =
          (offset < 0 ? '-' : '+') +
          two(Math.floor(seconds / 3600)) +
          (seconds % 3600 === 0 ? '' : `:${two(Math.floor(seconds / 60) % 60)}`) +
          (seconds % 60 === 0 ? '' : `:${two(seconds % 60)}`);
        expect(load('timestamptz', local + written)).toEqual(date);
        expect(load('timestamptz', `${date.toISOString().slice(0, -1).replace('T', ' ')}+00`)).toEqual(date);
      }),
      { numRuns: 1000 },
    );
  });

  it.each(['infinity', '-infinity', '275760-09-13 00:00:01+00', '294276-12-31 23:59:59+00'])(
    'no %s, which a Date cannot hold',
    (text) => {
      expect(() => load('timestamptz', text)).toThrow(errors.DataError);
      expect(() => load('timestamptz', text)).toThrow(`'${text}' can't be held by a Date`);
    },
  );
});

describe('dates, times and intervals load as text', () => {
  it.each([
    ['date', '2024-01-02', '2024-01-02'],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', '10000-01-02', '10000-01-02'],
    ['date', '5874897-12-31', '5874897-12-31'],
    ['date', '0044-03-15 BC', '0044-03-15 BC'],
    ['date', 'infinity', 'infinity'],
    ['date', '-infinity', '-infinity'],
    ['time', '03:04:05.123456', '03:04:05.123456'],
    ['time', '24:00:00', '24:00:00'],
    ['timetz', '01:02:03.5+05:30', '01:02:03.5+05:30'],
    ['timetz', '03:04:05+05:30:15', '03:04:05+05:30:15'],
    ['timestamp', '2024-01-02 03:04:05', '2024-01-02T03:04:05'],
    ['timestamp', '2024-01-02 03:04:05.123456', '2024-01-02T03:04:05.123456'],
    ['timestamp', '10000-01-02 03:04:05', '10000-01-02T03:04:05'],
    ['timestamp', '12345-01-02 03:04:05', '12345-01-02T03:04:05'],
    ['timestamp', '294276-12-31 23:59:59', '294276-12-31T23:59:59'],
    ['timestamp', '294276-12-31 23:59:59.999999', '294276-12-31T23:59:59.999999'],
    ['timestamp', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC'],
    ['timestamp', 'infinity', 'infinity'],
    ['timestamp', '-infinity', '-infinity'],
    ['interval', '00:00:00', 'PT0S'],
    ['interval', '1 day', 'P1D'],
    ['interval', '1 mon', 'P1M'],
    ['interval', '00:10:00', 'PT10M'],
    ['interval', '100:00:00', 'PT100H'],
    ['interval', '1 year 2 mons 3 days 04:05:06.789', 'P1Y2M3DT4H5M6.789S'],
    ['interval', '1 year 2 mons -3 days +04:05:06.7', 'P1Y2M-3DT4H5M6.7S'],
    ['interval', '-1 years -2 mons +3 days -04:05:06', 'P-1Y-2M3DT-4H-5M-6S'],
    ['interval', '-1 days +02:03:00', 'P-1DT2H3M'],
    ['interval', '-00:00:00.000001', 'PT-0.000001S'],
    ['interval', '2562047788:00:54.775807', 'PT2562047788H54.775807S'],
    ['interval', 'infinity', 'infinity'],
    ['interval', '-infinity', '-infinity'],
  ])('%s %s as %s', (type, text, loaded) => {
    expect(load(type, text)).toBe(loaded);
  });

  it('without changing the socket’s bytes', () => {
    const bytes = Buffer.from('2024-01-02 03:04:05');
    const loader = adapters.loaderFor(adapters.type('timestamp')!.oid);
    expect([loader(bytes, 0, bytes.length), loader(bytes, 0, bytes.length)]).toEqual([
      '2024-01-02T03:04:05',
      '2024-01-02T03:04:05',
    ]);
    expect(bytes.toString()).toBe('2024-01-02 03:04:05');
  });
});

describe('intervals load the same in every IntervalStyle', () => {
  it.each([
    // sql_standard
    ['0', 'PT0S'],
    ['1-2', 'P1Y2M'],
    ['-1-2', 'P-1Y-2M'],
    ['3 4:05:06', 'P3DT4H5M6S'],
    ['-3 4:05:06.7', 'P-3DT-4H-5M-6.7S'],
    ['4:05:06', 'PT4H5M6S'],
    ['-0:00:00.000001', 'PT-0.000001S'],
    ['+1-2 -3 +4:05:06.7', 'P1Y2M-3DT4H5M6.7S'],
    ['-1-2 +3 -4:05:06', 'P-1Y-2M3DT-4H-5M-6S'],
    ['1 2:03:04', 'P1DT2H3M4S'],
    // postgres_verbose
    ['@ 0', 'PT0S'],
    ['@ 1 day 2 hours', 'P1DT2H'],
    ['@ 1 year ago', 'P-1Y'],
    ['@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs', 'P1Y2M-3DT4H5M6.7S'],
    ['@ 1 year 2 mons -3 days 4 hours 5 mins 6 secs ago', 'P-1Y-2M3DT-4H-5M-6S'],
    ['@ 1 mon -1.5 secs', 'P1MT-1.5S'],
    ['@ 0.000001 secs ago', 'PT-0.000001S'],
    ['@ 1 sec', 'PT1S'],
    // iso_8601
    ['P1Y', 'P1Y'],
    ['P1DT2H', 'P1DT2H'],
    ['PT0S', 'PT0S'],
    ['P-1Y-2M3DT-4H-5M-6S', 'P-1Y-2M3DT-4H-5M-6S'],
    ['PT-0.000001S', 'PT-0.000001S'],
  ])('%s as %s', (text, loaded) => {
    expect(load('interval', text)).toBe(loaded);
  });

  it.each([
    'PT1.0000005S',
    'PT1.0000015S',
    'PT0.0000005S',
    'PT0.0000015S',
    'PT-1.0000005S',
    'PT-0.0000035S',
    'PT1.9999999S',
    'PT1234567890.1234567S',
    '@ 1.0000005 secs',
    '@ 0.0000015 secs',
    '@ 1.0000035 secs ago',
    '@ -1.0000035 secs',
    '@ 1234567890.1234567 secs',
    '00:00:01.0000005',
    '00:00:01.0000015',
    '-00:00:01.0000025',
  ])('with more digits than microseconds have, rounded as the server does: %s', async (text) => {
    const conn = await connect();
    const microseconds = '(1000000 * extract(epoch FROM %s::interval))::int8';
    const rounded = `SELECT ${microseconds}, ${microseconds}`;
    const [server, ours] = (await (await conn.execute(rounded, [text, load('interval', text)])).fetchone())!;
    expect(ours).toBe(server);
  });

  it.each(['', 'x', '1', '@', '1-2 3', '+1-2', '1 day ago'])('or raise a DataError: %j', (text) => {
    expect(() => load('interval', text)).toThrow(errors.DataError);
  });
});

describe('dates load the same in every DateStyle', () => {
  const MDY = { DateStyle: 'SQL, MDY', TimeZone: 'UTC' };
  const DMY = { DateStyle: 'SQL, DMY', TimeZone: 'UTC' };
  const PG_MDY = { DateStyle: 'Postgres, MDY', TimeZone: 'UTC' };
  const PG_DMY = { DateStyle: 'Postgres, DMY', TimeZone: 'UTC' };
  const GERMAN = { DateStyle: 'German, DMY', TimeZone: 'UTC' };

  it.each<[Readonly<Record<string, string>>, string, string, string]>([
    [MDY, 'date', '02/03/2024', '2024-02-03'],
    [{ DateStyle: 'SQL, YMD' }, 'date', '02/03/2024', '2024-02-03'],
    [DMY, 'date', '03/02/2024', '2024-02-03'],
    [DMY, 'date', '15/03/0044 BC', '0044-03-15 BC'],
    [DMY, 'date', '31/12/5874897', '5874897-12-31'],
    [PG_MDY, 'date', '02-03-2024', '2024-02-03'],
    [PG_DMY, 'date', '03-02-2024', '2024-02-03'],
    [PG_DMY, 'date', '03-02-12345', '12345-02-03'],
    [GERMAN, 'date', '03.02.2024', '2024-02-03'],
    [GERMAN, 'date', 'infinity', 'infinity'],
    [MDY, 'timestamp', '02/03/2024 04:05:06.789', '2024-02-03T04:05:06.789'],
    [DMY, 'timestamp', '03/02/2024 04:05:06 BC', '2024-02-03 04:05:06 BC'],
    [GERMAN, 'timestamp', '03.02.2024 04:05:06', '2024-02-03T04:05:06'],
    [GERMAN, 'timestamp', '-infinity', '-infinity'],
    [PG_MDY, 'timestamp', 'Sat Feb 03 04:05:06.789 2024', '2024-02-03T04:05:06.789'],
    [PG_DMY, 'timestamp', 'Sat 03 Feb 04:05:06 2024', '2024-02-03T04:05:06'],
    [PG_DMY, 'timestamp', 'Thu 31 Dec 23:59:59.999999 294276', '294276-12-31T23:59:59.999999'],
    [PG_DMY, 'timestamp', 'Fri 15 Mar 12:00:00 0044 BC', '0044-03-15 12:00:00 BC'],
  ])('with %o: %s %s as %s', (settings, type, text, loaded) => {
    expect(loadWith(settings, type, text)).toBe(loaded);
  });

  it.each<[Readonly<Record<string, string>>, string, string]>([
    [MDY, '02/03/2024 04:05:06.789123 UTC', '2024-02-03T04:05:06.789Z'],
    [{ DateStyle: 'SQL, DMY', TimeZone: 'Etc/GMT' }, '03/02/2024 04:05:06 GMT', '2024-02-03T04:05:06.000Z'],
    [GERMAN, '03.02.2024 04:05:06 UTC', '2024-02-03T04:05:06.000Z'],
    [PG_MDY, 'Sat Feb 03 04:05:06 2024 UTC', '2024-02-03T04:05:06.000Z'],
    [PG_DMY, 'Fri 15 Mar 12:00:00 0044 UTC BC', '-000043-03-15T12:00:00.000Z'],
    [
      { DateStyle: 'German, DMY', TimeZone: 'Asia/Kathmandu' },
      '03.02.2024 04:05:06 +0545',
      '2024-02-02T22:20:06.000Z',
    ],
    [
      { DateStyle: 'Postgres, DMY', TimeZone: 'America/Sao_Paulo' },
      'Sat 03 Feb 04:05:06 2024 -03',
      '2024-02-03T07:05:06.000Z',
    ],
  ])('with %o: timestamptz %s as the Date %s', (settings, text, iso) => {
    expect((loadWith(settings, 'timestamptz', text) as Date).toISOString()).toBe(iso);
  });

  it('also without the settings, if the text is unambiguous', () => {
    expect(load('timestamp', '02.01.2024 03:04:05')).toBe('2024-01-02T03:04:05');
    expect(load('timestamp', 'Tue Jan 02 03:04:05 2024')).toBe('2024-01-02T03:04:05');
    expect(load('date', '02.01.2024')).toBe('2024-01-02');
  });

  it.each<[Readonly<Record<string, string>>, string, string, RegExp]>([
    [
      {},
      'date',
      '02/03/2024',
      /whether month or day come first is not known.*\(none\).*Set DateStyle to ISO/,
    ],
    [{ DateStyle: 'ISO, DMY' }, 'date', '02/03/2024', /the server reported the DateStyle ISO, DMY/],
    [PG_DMY, 'date', '02/03/2024', /the server reported the DateStyle Postgres, DMY/],
    [DMY, 'date', '02-03-2024', /the server reported the DateStyle SQL, DMY/],
    [{ DateStyle: 'ISO, DMY' }, 'timestamp', '02/03/2024 04:05:06', /whether month or day/],
    [GERMAN, 'date', '02.03.2024 04:05:06', /none of the known styles/],
    [GERMAN, 'timestamp', '02.03.2024', /none of the known styles/],
    [GERMAN, 'timestamp', 'tomorrow', /none of the known styles/],
    [PG_DMY, 'timestamp', 'Sat 03 Foo 04:05:06 2024', /none of the known styles/],
    [{}, 'timestamptz', '01/02/2024 03:04:05.123456 UTC', /whether month or day.*Set DateStyle to ISO/],
    [{}, 'timestamptz', 'Tue Jan 02 03:04:05 2024 UTC', /offset of its time zone is not certain.*DateStyle/],
    [{ TimeZone: 'Europe/Berlin' }, 'timestamptz', '02.01.2024 03:04:05 CET', /offset of its time zone/],
    // POSIX time zones may give any offset this name, and count it in the opposite direction.
    [{ TimeZone: 'UTC+5' }, 'timestamptz', '02.01.2024 03:04:05 UTC', /offset of its time zone/],
    [{ TimeZone: '<+03>5' }, 'timestamptz', '02.01.2024 03:04:05 +03', /offset of its time zone/],
    [{ TimeZone: 'UTC' }, 'timestamptz', '02.01.2024 03:04:05', /offset of its time zone/],
    [GERMAN, 'timestamp', '02.01.2024 03:04:05 UTC', /none of the known styles/],
    [GERMAN, 'date', '02.01.2024 BC BC', /none of the known styles/],
  ])('or raise a DataError that names the setting, with %o: %s %s', (settings, type, text, message) => {
    expect(() => loadWith(settings, type, text)).toThrow(errors.DataError);
    expect(() => loadWith(settings, type, text)).toThrow(message);
    expect(() => loadWith(settings, type, text)).toThrow(text);
  });

  it('by their own session’s settings, also within arrays', () => {
    const sessions = [MDY, DMY].map((settings) => adapters.cloneFor(new Map(Object.entries(settings))));
    const load2 = (map: (typeof sessions)[0]): unknown => load('date[]', '{02/03/2024}', map);
    expect(sessions.map(load2)).toEqual([['2024-02-03'], ['2024-03-02']]);
    expect(sessions.map((map) => load2(map.clone()))).toEqual([['2024-02-03'], ['2024-03-02']]);
    const [first, second] = sessions as [(typeof sessions)[0], (typeof sessions)[0]];
    first.registerLoader('date', (text) => `<${text}>`);
    expect([load2(first), load2(second)]).toEqual([['<02/03/2024>'], ['2024-03-02']]);
  });
});
