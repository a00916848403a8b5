import { describe, expect, it, test } from 'vitest';
import { adapters } from '../../src/index.js';
import { ByteWriter } from '../../src/types/byte-writer.js';
import { connect } from '../support/database.js';

// Texts that the server reads in COPY's text format, but whose binary format would be another value.

test.each([
  [
    'int4[]',
    '[0:1]={1,2}',
    /^row 1, column 1: '\[0:1\]=\{1,2\}' has lower bounds, .*copy in the text format$/,
  ],
  ['text[]', ' [2:2]={a}', /has lower bounds/],
])('a binary COPY of %s refuses %s, and stores no other value', async (type, text, message) => {
  const conn = await connect({ autocommit: true });
  await conn.execute(`CREATE TEMP TABLE target (v ${type})`);
  const cur = conn.cursor();
  const copied = cur.withCopy('COPY target FROM STDIN (FORMAT binary)', async (copy) => {
    copy.setTypes([type]);
    await copy.writeRow([text]);
  });
  await expect(copied).rejects.toThrow(message);
  expect((await (await conn.execute('SELECT count(*)::int FROM target')).fetchone())![0]).toBe(0);
});

describe('an infinite interval in the binary format', () => {
  const INTERVAL = 1186;
  const LONGEST = Buffer.from('7fffffffffffffff7fffffff7fffffff', 'hex');
  const codecOf = (version: string) =>
    adapters.cloneFor(new Map([['server_version', version]])).codecFor(INTERVAL);

  it('is one since PostgreSQL 17', () => {
    const { readText, readBinary, binaryToText, textToBinary } = codecOf('17.0');
    expect(readText(Buffer.from('-infinity'), 0, 9)).toBe('-infinity');
    expect(readBinary!(LONGEST, 0, 16)).toBe('infinity');
    expect(binaryToText!(LONGEST, 0, 16)).toBe('infinity');
    const out = new ByteWriter(32);
    textToBinary!('infinity', out, 'row 1');
    expect(out.bytes.subarray(0, out.length)).toEqual(LONGEST);
  });

  it('is the longest interval before, which has another text, so that no infinity is written', () => {
    const { readText, readBinary, binaryToText, textToBinary } = codecOf('16.10 (Debian 16.10-1)');
    expect(() => readText(Buffer.from('-infinity'), 0, 9)).toThrow("'-infinity' is not of type interval");
    expect(readBinary!(LONGEST, 0, 16)).toBe('P178956970Y7M2147483647DT2562047788H54.775807S');
    expect(binaryToText!(LONGEST, 0, 16)).toBe(
      '178956970 years 7 mons 2147483647 days 2562047788:00:54.775807',
    );
    expect(() => {
      textToBinary!('-infinity', new ByteWriter(32), 'row 1');
    }).toThrow('row 1: this server has no infinite interval');
  });
});

describe('a text whose meaning depends on a setting, or on its form, is stored by a binary COPY as by COPY in text', () => {
  const TEXTS: Readonly<Record<string, readonly string[]>> = {
    interval: [
      '-1 day 02:03:04',
      '-1 days +02:03:04',
      '-1 days -02:03:04',
      '-1 day',
      '-02:03:04',
      '-1 year 2 mons',
      '-1 mon 3 days 00:00:01',
      '-0 days 01:00:00',
      '@ -1 day 2 hours',
      '@ -1 day 2 hours ago',
      '@ 1 day -2 hours ago',
      '@ 1 day 2 hours ago',
      '-1 2:03:04.5',
      '1 2:03:04.5',
      '-1-2',
      '1-2',
      '+1-2 -3 +4:05:06',
      '-1-2 +3 +4:05:06',
      'P-1DT2H',
      '-P1D',
      ' -1 day 02:03:04 ',
    ],
    xid: ['10', '010', '08', '0', ' 010', '-010'],
    xid8: ['10', '010', '00'],
    cid: ['10', '010'],
    macaddr: [
      '08:00:2b:01:02:03',
      '08-00-2B-01-02-03',
      '08002b:010203',
      '08002b-010203',
      '0800.2b01.0203',
      '0800-2b01-0203',
      '08002b010203',
      '08:00e:2b:01:02:3',
      '08:00:e2b:1:02:03',
      '08:00-2b:01:02:03',
      '0800:2b01:0203',
      '08::00:2b:01:0203',
    ],
    macaddr8: [
      '08:00:2b:01:02:03:04:05',
      '08-00-2b-01-02-03-04-05',
      '08002b:0102030405',
      '08002b01:02030405',
      '0800.2b01.0203.0405',
      '08002b0102030405',
      '08:00-2b:01:02:03:04:05',
      '08::00:2b01:02:03:04:05',
      '080:02b:01:02:03:04:05',
    ],
  };

  it.each(['postgres', 'postgres_verbose', 'sql_standard', 'iso_8601'])('or refused: %s', async (style) => {
    const conn = await connect({ autocommit: true });
    const stored = async (format: string, type: string, value: unknown): Promise<unknown> => {
      await conn.execute(`DROP TABLE IF EXISTS target; CREATE TEMP TABLE target (v ${type})`);
      await conn.execute(`SET IntervalStyle = ${style}`);
      try {
        await conn.cursor().withCopy(`COPY target FROM STDIN (FORMAT ${format})`, async (copy) => {
          copy.setTypes([type]);
          await copy.writeRow([value]);
        });
      } catch {
        return 'refused';
      }
      await conn.execute('SET IntervalStyle = postgres');
      return (await (await conn.execute('SELECT v::text FROM target')).fetchone())![0];
    };
    for (const [type, texts] of Object.entries(TEXTS)) {
      for (const text of texts) {
        const [inText, inBinary] = [await stored('text', type, text), await stored('binary', type, text)];
        if (inBinary !== 'refused') expect({ text, stored: inBinary }).toEqual({ text, stored: inText });
        const array = await stored('binary', `${type}[]`, [text]);
        if (array !== 'refused') expect(array).toBe(await stored('text', `${type}[]`, [text]));
      }
    }
    for (const address of TEXTS['macaddr']!.slice(0, 7)) {
      expect(await stored('binary', 'macaddr', address)).toBe('08:00:2b:01:02:03');
    }
    for (const address of TEXTS['macaddr8']!.slice(0, 6)) {
      expect(await stored('binary', 'macaddr8', address)).toBe('08:00:2b:01:02:03:04:05');
    }
    expect(await stored('binary', 'interval', '-1 2:03:04')).toBe(
      style === 'sql_standard' ? '-1 days -02:03:04' : '-1 days +02:03:04',
    );
  });
});
