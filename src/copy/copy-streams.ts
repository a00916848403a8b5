import { Readable, Writable } from 'node:stream';
import type { AsyncCopy } from './copy.js';

/** How much a stream holds before it asks to wait, in bytes. */
const HIGH_WATER = 65_536;

/** A COPY … FROM STDIN that is finished with the stream, and aborted if that is destroyed. */
export function copyWritable(copy: Pick<AsyncCopy, 'write' | 'finish' | 'abort'>): Writable {
  return new Writable({
    highWaterMark: HIGH_WATER,
    decodeStrings: false,
    write(chunk: string | Uint8Array, encoding, callback) {
      const isUtf8 = typeof chunk !== 'string' || encoding === 'utf8' || encoding === 'utf-8';
      copy.write(isUtf8 ? chunk : Buffer.from(chunk, encoding)).then(() => {
        callback();
      }, callback);
    },
    final(callback) {
      copy.finish().then(() => {
        callback();
      }, callback);
    },
    destroy(error, callback) {
      copy.abort(reasonOf(error)).then(() => {
        callback(error);
      }, callback);
    },
  });
}

/** A COPY … TO STDOUT that is read as the stream is, and cancelled if that is destroyed before its end. */
export function copyReadable(copy: Pick<AsyncCopy, 'read' | 'abort'>): Readable {
  return new Readable({
    highWaterMark: HIGH_WATER,
    read() {
      copy.read().then(
        (piece) => {
          this.push(piece.length === 0 ? null : piece);
        },
        (error: unknown) => {
          this.destroy(error as Error);
        },
      );
    },
    destroy(error, callback) {
      copy.abort(reasonOf(error)).then(() => {
        callback(error);
      }, callback);
    },
  });
}

function reasonOf(error: Error | null): string {
  return error === null ? 'the stream was destroyed' : `the stream failed: ${error.message}`;
}
