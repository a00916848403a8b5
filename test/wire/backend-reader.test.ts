import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackendReader, type MessageSink } from '../../src/wire/backend-messages.js';
import { Backend } from '../../src/wire/protocol.js';

interface Seen {
  readonly type: number;
  readonly body: string;
}

/** Records what it receives; bodies are copied, since they are valid only during the call. */
class RecordingSink implements MessageSink {
  readonly seen: Seen[] = [];
  readonly garbage: string[] = [];
  onEach: (() => void) | null = null;

  onRow(bytes: Buffer, start: number, end: number): void {
    this.#record(Backend.DataRow, bytes, start, end);
  }
  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    expect(bytes[start - 5]).toBe(type);
    expect(bytes.readInt32BE(start - 4)).toBe(end - start + 4);
    this.#record(type, bytes, start, end);
  }
  onGarbage(detail: string): void {
    this.garbage.push(detail);
  }
  #record(type: number, bytes: Buffer, start: number, end: number): void {
    this.seen.push({ type, body: bytes.toString('latin1', start, end) });
    this.onEach?.();
  }
}

/** The messages with the data of a COPY joined, since its division into messages has no meaning. */
function joined(messages: readonly Seen[]): Seen[] {
  const all: Seen[] = [];
  for (const { type, body } of messages) {
    const last = all.at(-1);
    if (type === Backend.CopyData && last?.type === type)
      all[all.length - 1] = { type, body: last.body + body };
    else all.push({ type, body });
  }
  return all;
}

function message({ type, body }: Seen): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes[0] = type;
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5, 'latin1');
  return bytes;
}

/** Reads `stream` split at `cuts`, from memory that is overwritten after each chunk, like the socket's. */
function read(stream: Buffer, cuts: readonly number[], sink = new RecordingSink()): RecordingSink {
  const reader = new BackendReader(sink);
  reader.startupDone();
  const memory = Buffer.alloc(stream.length);
  let from = 0;
  for (const to of [...cuts].sort((a, b) => a - b).concat(stream.length)) {
    const length = stream.copy(memory, 0, from, to);
    reader.push(memory.subarray(0, length));
    memory.fill(0xff);
    from = to;
  }
  return sink;
}

const anyMessage = fc.record({
  type: fc.oneof(fc.constantFrom(...Object.values(Backend)), fc.constant(Backend.CopyData)),
  body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
});

describe('a stream of messages', () => {
  it('is read the same byte by byte as in one piece', () => {
    const sent: Seen[] = [
      { type: Backend.RowDescription, body: 'columns' },
      { type: Backend.DataRow, body: '' },
      { type: Backend.DataRow, body: 'x'.repeat(300) },
      { type: Backend.ReadyForQuery, body: 'I' },
    ];
    const stream = Buffer.concat(sent.map(message));
    expect(read(stream, []).seen).toEqual(sent);
    expect(read(stream, [...stream.keys()]).seen).toEqual(sent);
  });

  it('is read the same however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { maxLength: 12 }).chain((sent) => {
          const stream = Buffer.concat(sent.map(message));
          return fc.tuple(
            fc.constant(sent),
            fc.constant(stream),
            fc.array(fc.nat({ max: stream.length }), { maxLength: 20 }),
          );
        }),
        ([sent, stream, cuts]) => {
          const { seen, garbage } = read(stream, cuts);
          expect(joined(seen)).toEqual(joined(sent));
          expect(garbage).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of COPY data is joined into one message per chunk', () => {
    const row = (body: string): Seen => ({ type: Backend.CopyData, body });
    const ready = { type: Backend.ReadyForQuery, body: 'I' };
    const sent = [row('one'), row(''), row('two'), ready, row('three'), row('four'), row('five')];
    const stream = Buffer.concat(sent.map(message));
    expect(read(stream, []).seen).toEqual([row('onetwo'), ready, row('threefourfive')]);
    expect(read(stream, [stream.length - 1]).seen).toEqual([
      row('onetwo'),
      ready,
      row('threefour'),
      row('five'),
    ]);
  });

  it('ends where reading is stopped, also within a chunk and after a message that straddles two chunks', () => {
    const ready = { type: Backend.ReadyForQuery, body: 'I' };
    const stream = Buffer.concat([message(ready), message(ready), message(ready)]);
    for (const cut of [0, 3, 5, 6, 7]) {
      const sink = new RecordingSink();
      const reader = new BackendReader(sink);
      sink.onEach = () => {
        reader.stop();
      };
      reader.push(stream.subarray(0, cut));
      reader.push(stream.subarray(cut));
      reader.push(stream);
      expect(sink.seen).toEqual([ready]);
    }
  });
});

describe('a stream that is not the protocol', () => {
  it.each([
    ['an answer of HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /0x48 and length 1414811695/],
    ['a type that no backend sends', Buffer.from('ÿ0000'.padEnd(10), 'latin1'), /0xff/],
    ['a length that does not count itself', Buffer.from([Backend.ReadyForQuery, 0, 0, 0, 3]), /length 3/],
    ['a negative length', Buffer.from([Backend.ReadyForQuery, 0xff, 0xff, 0xff, 0xff]), /length -1/],
  ])('stops reading at %s, whole or byte by byte', (_, garbage, detail) => {
    const ready = { type: Backend.ReadyForQuery, body: 'I' };
    const stream = Buffer.concat([message(ready), garbage, message(ready)]);
    for (const cuts of [[], [...stream.keys()]]) {
      const sink = new RecordingSink();
      const reader = new BackendReader(sink);
      let from = 0;
      for (const to of [...cuts, stream.length]) {
        reader.push(stream.subarray(from, to));
        from = to;
      }
      expect(sink.seen).toEqual([ready]);
      expect(sink.garbage).toHaveLength(1);
      expect(sink.garbage[0]).toMatch(detail);
    }
  });

  it('includes a message of more than 30,000 bytes, unless it is data or text after the startup', () => {
    const body = 'x'.repeat(30_000);
    for (const type of Object.values(Backend)) {
      const early = new RecordingSink();
      new BackendReader(early).push(message({ type, body }));
      expect(early.seen).toEqual([]);
      expect(early.garbage).toHaveLength(1);
    }
    for (const type of [Backend.DataRow, Backend.CopyData, Backend.ErrorResponse, Backend.RowDescription]) {
      expect(read(message({ type, body }), [10_000]).seen).toEqual([{ type, body }]);
    }
    for (const type of [Backend.ReadyForQuery, Backend.CommandComplete, Backend.ParameterStatus]) {
      expect(read(message({ type, body }), [10_000])).toMatchObject({
        seen: [],
        garbage: [expect.any(String)],
      });
    }
  });
});
