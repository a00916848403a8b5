import { describe, expect, it } from 'vitest';
import { readText as loadText } from '../../src/types/text.js';
import {
  ProtocolViolation,
  readBackendKey,
  readCopyFormat,
  readErrorFields,
  readNotification,
  readParameterStatus,
  readRowDescription,
  readStatusByte,
  readTag,
} from '../../src/wire/backend-messages.js';
import { ObjectDecoder, TupleDecoder } from '../../src/wire/row-decoder.js';

const PADDING = 7;

/** A body between other bytes, as in the memory of a socket. */
function embedded(text: string): [bytes: Buffer, start: number, end: number] {
  const body = Buffer.from(text, 'latin1');
  const bytes = Buffer.concat([Buffer.alloc(PADDING, 0xee), body, Buffer.alloc(PADDING, 0xee)]);
  return [bytes, PADDING, PADDING + body.length];
}

describe('the body of', () => {
  it('RowDescription gives the columns', () => {
    const body = embedded(
      '\0\x02id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0' +
        'n\xc3\xa4me\0\0\0\0\0\0\0\0\0\x04\x13\xff\xff\0\0\0\x2e\0\0',
    );
    expect(readRowDescription(...body)).toEqual([
      { name: 'id', tableOid: 16_384, tableColumn: 1, typeOid: 23, typeSize: 4, typmod: -1, format: 0 },
      { name: 'näme', tableOid: 0, tableColumn: 0, typeOid: 1043, typeSize: -1, typmod: 46, format: 0 },
    ]);
    expect(readRowDescription(Buffer.from([0, 0]), 0, 2)).toEqual([]);
  });

  it('ErrorResponse gives its fields', () => {
    expect(readErrorFields(...embedded('SERROR\0C42601\0Mna\xc3\xafve\0\0'))).toEqual(
      new Map([
        ['S', 'ERROR'],
        ['C', '42601'],
        ['M', 'naïve'],
      ]),
    );
    expect(readErrorFields(...embedded('\0'))).toEqual(new Map());
  });

  it('CommandComplete gives its tag', () => {
    expect(readTag(...embedded('INSERT 0 1\0'))).toBe('INSERT 0 1');
  });

  it('ParameterStatus gives name and value', () => {
    expect(readParameterStatus(...embedded('TimeZone\0UTC\0'))).toEqual(['TimeZone', 'UTC']);
    expect(readParameterStatus(...embedded('application_name\0\0'))).toEqual(['application_name', '']);
  });

  it('BackendKeyData gives process id and secret', () => {
    expect(readBackendKey(Buffer.from('000004d2ffffffff', 'hex'), 0, 8)).toEqual({
      pid: 1234,
      secret: 0xffffffff,
    });
  });

  it('NotificationResponse gives sender, channel and payload', () => {
    expect(readNotification(...embedded('\0\0\x04\xd2channel\0payl\xc3\xb6ad\0'))).toEqual({
      pid: 1234,
      channel: 'channel',
      payload: 'paylöad',
    });
  });
});

describe('a body that contradicts its length', () => {
  it.each([
    ['ErrorResponse', readErrorFields, ['SERROR\0Mcut', 'SERROR\0', '\0more', '']],
    ['CommandComplete', readTag, ['SELECT 1', 'SELECT 1\0more\0', '']],
    ['ParameterStatus', readParameterStatus, ['TimeZone\0UTC', 'TimeZone\0', '\0UTC\0', 'a\0b\0c\0']],
    [
      'NotificationResponse',
      readNotification,
      ['\0\0\x04', '\0\0\x04\xd2channel\0', '\0\0\x04\xd2\0payload\0'],
    ],
    ['BackendKeyData', readBackendKey, ['\0\0\0\x01', '\0\0\0\x01\0\0\0\x01\0']],
    ['ReadyForQuery', readStatusByte, ['', 'X', 'II']],
    ['CopyOutResponse', readCopyFormat, ['\0\0', '\0\0\x02\0\0', '\x02\0\0', '\0\xff\xff']],
    ['RowDescription', readRowDescription, ['\0\x01id\0', '\0\x01id', '\xff\xff', '\0\0more', '']],
  ] as const)('of a %s is refused', (_, read, bodies) => {
    for (const body of bodies) expect(() => read(...embedded(body))).toThrow(ProtocolViolation);
  });

  it('of a row is refused, with any values', () => {
    const loaders = [loadText, loadText];
    for (const decoder of [new TupleDecoder(loaders), ObjectDecoder.create(['a', 'b'], loaders)!]) {
      for (const body of [
        '',
        '\0\x01\0\0\0\x01a',
        '\0\x02\0\0\0\x01a',
        '\0\x02\0\0\0\x01a\0\0\0\x02b',
        '\0\x02\0\0\0\x01a\0\0\0\x01bc',
        '\0\x02\0\0\0\x01a\xff\xff\xff\xfe',
        '\0\x02\x7f\xff\xff\xffab',
        '\0\x03\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c',
      ]) {
        expect(() => decoder.decode(...embedded(body))).toThrow(ProtocolViolation);
      }
    }
  });
});

describe('a row', () => {
  it('is decoded by a loader for each column, which NULL never reaches', () => {
    const body = embedded('\0\x04\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\0\0\x01c');
    const length = (_: Buffer, from: number, to: number): number => to - from;
    const loaders = [loadText, loadText, length, length];
    expect(new TupleDecoder(loaders).decode(...body)).toEqual(['ab', null, 0, 1]);
    const objects = ObjectDecoder.create(['b', 'a', '1', 'constructor'], loaders)!;
    const row = objects.decode(...body);
    expect(row).toEqual({ b: 'ab', a: null, 1: 0, constructor: 1 });
    expect(objects.valuesOf(row)).toEqual(['ab', null, 0, 1]);
  });

  it('without columns is empty', () => {
    expect(new TupleDecoder([]).decode(Buffer.from([0, 0]), 0, 2)).toEqual([]);
  });

  it('is not decoded as an object if two columns share a name, or one is named __proto__', () => {
    expect(ObjectDecoder.create(['a', 'a'], [loadText, loadText])).toBeNull();
    expect(ObjectDecoder.create(['__proto__'], [loadText])).toBeNull();
  });
});
