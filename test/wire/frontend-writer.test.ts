import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrontendWriter } from '../../src/wire/frontend-writer.js';

function written(write: (writer: FrontendWriter) => void): Buffer {
  const writer = new FrontendWriter();
  write(writer);
  return writer.take();
}

/** The bytes of a message according to the protocol's documentation. */
function message(type: string, body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length + 4);
  return Buffer.concat([Buffer.from(type), length, bytes]);
}

describe('a frontend message', () => {
  it.each<[string, (writer: FrontendWriter) => void, Buffer]>([
    [
      'Parse',
      (w) => {
        w.parse('s', 'select $1', [{ oid: 23 }, { oid: 0 }]);
      },
      message('P', 's\0select $1\0\0\x02\0\0\0\x17\0\0\0\0'),
    ],
    [
      'Parse without types',
      (w) => {
        w.parse('', 'x', []);
      },
      message('P', '\0x\0\0\0'),
    ],
    [
      'Bind',
      (w) => {
        w.bind('s', [{ text: 'ab' }, { text: null }, { text: '' }]);
      },
      message('B', Buffer.from('\0s\0\0\0\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\0', 'latin1')),
    ],
    [
      'Describe',
      (w) => {
        w.describePortal();
      },
      message('D', 'P\0'),
    ],
    [
      'Execute',
      (w) => {
        w.execute();
      },
      message('E', '\0\0\0\0\0'),
    ],
    [
      'Close',
      (w) => {
        w.closeStatement('s');
      },
      message('C', 'Ss\0'),
    ],
    [
      'Sync',
      (w) => {
        w.sync();
      },
      message('S', ''),
    ],
    [
      'CopyFail',
      (w) => {
        w.copyFail('why');
      },
      message('f', 'why\0'),
    ],
    [
      'Terminate',
      (w) => {
        w.terminate();
      },
      message('X', ''),
    ],
  ])('%s has the bytes of the protocol', (_, write, expected) => {
    expect(written(write)).toEqual(expected);
  });

  it('binds any texts, NULLs and bytes, with format codes if there are bytes', () => {
    const param = fc.oneof(
      fc.option(fc.string({ unit: 'binary', maxLength: 200 })).map((text) => ({ text })),
      fc.uint8Array({ maxLength: 2000 }).map((bytes) => ({ text: null, bytes })),
    );
    fc.assert(
      fc.property(fc.array(param), (params: { text: string | null; bytes?: Uint8Array }[]) => {
        const bytes = written((w) => {
          w.bind('é', params);
        });
        expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
        let at = 5 + 1 + 3;
        const int16 = (): number => bytes.readInt16BE((at += 2) - 2);
        const codes = Array.from({ length: int16() }, int16);
        const hasBytes = params.some((one) => one.bytes !== undefined);
        expect(codes).toEqual(hasBytes ? params.map((one) => (one.bytes === undefined ? 0 : 1)) : []);
        expect(int16()).toBe(params.length);
        for (const { text, bytes: given } of params) {
          const length = bytes.readInt32BE(at);
          at += 4;
          const value = bytes.subarray(at, at + Math.max(0, length));
          if (given !== undefined) expect(value).toEqual(Buffer.from(given));
          else expect(length < 0 ? null : value.toString('utf8')).toBe(text);
          at += value.length;
        }
        expect(bytes.subarray(at)).toEqual(Buffer.from([0, 0]));
      }),
    );
  });

  it('may be larger than the writer’s initial memory', () => {
    const text = '€'.repeat(100_000);
    const bytes = written((w) => {
      w.sync();
      w.parse(
        '',
        text,
        Array.from({ length: 5000 }, (_, oid) => ({ oid })),
      );
      w.sync();
    });
    expect(bytes.length).toBe(5 + (5 + 1 + 300_000 + 1 + 2 + 20_000) + 5);
    expect(bytes.subarray(-5)).toEqual(message('S', ''));
  });
});

it('a writer starts over after each take(), without changing the taken bytes', () => {
  const writer = new FrontendWriter();
  expect(writer.empty).toBe(true);
  writer.closeStatement('first');
  expect(writer.empty).toBe(false);
  const first = writer.take();
  const copy = Buffer.from(first);
  writer.closeStatement('other');
  expect(first).toEqual(copy);
  expect(writer.take()).toEqual(message('C', 'Sother\0'));
  expect(writer.take()).toHaveLength(0);
});
