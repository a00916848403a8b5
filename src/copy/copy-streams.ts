import { Readable, Writable } from 'node:stream';
import { continuedStack, type CallSite } from '../errors/callers-stack.js';

/** How much a stream holds before it asks to wait, in bytes. */
const HIGH_WATER = 65_536;

/** A COPY as its streams see it. */
export interface StreamedCopy {
  /** The call that has made the stream, which no one who gets its 'error' has awaited. */
  readonly call: CallSite | null;
  write(data: string | Uint8Array): Promise<void>;
  finish(): Promise<void>;
  read(): Promise<Buffer>;
  abort(reason: string): Promise<void>;
  /** Whether it was ended from this side: aborted by its user, or left with its scope, block, cursor or connection. */
  wasLeft(): boolean;
  /** Whether `error` is what its user has cancelled it with. */
  isCancellation(error: unknown): boolean;
  /** Calls `tell` with what it fails with, be anything written or read at that time or not. */
  onFailure(tell: (error: unknown) => void): void;
}

/**
 * The COPY … FROM STDIN as a stream: finished with it, aborted if it is destroyed; destroyed if the COPY ends before, however silent
 * its source is.
 */
export function copyWritable(copy: StreamedCopy): Writable {
  const settle = (done: Promise<void>, callback: (error?: Error) => void): void => {
    done.then(
      () => {
        callback();
      },
      (error: unknown) => {
        const told = toldOf(error, copy, writable);
        if (told === null) writable.destroy();
        else callback(told);
      },
    );
  };
  const writable = new Writable({
    highWaterMark: HIGH_WATER,
    decodeStrings: false,
    write(chunk: string | Uint8Array, encoding, callback) {
      const isUtf8 = typeof chunk !== 'string' || encoding === 'utf8' || encoding === 'utf-8';
      settle(copy.write(isUtf8 ? chunk : Buffer.from(chunk, encoding)), callback);
    },
    final(callback) {
      settle(copy.finish(), callback);
    },
    destroy: abortOf(copy),
  });
  copy.onFailure((error) => {
    end(writable, copy, error);
  });
  return writable;
}

/** The COPY … TO STDOUT as a stream: read as it is, cancelled if it is destroyed before its end; destroyed if the COPY ends before. */
export function copyReadable(copy: StreamedCopy): Readable {
  const readable = new Readable({
    highWaterMark: HIGH_WATER,
    read() {
      copy.read().then(
        (piece) => {
          this.push(piece.length === 0 ? null : piece);
        },
        (error: unknown) => {
          end(readable, copy, error);
        },
      );
    },
    destroy: abortOf(copy),
  });
  copy.onFailure((error) => {
    end(readable, copy, error);
  });
  return readable;
}

function abortOf(copy: StreamedCopy) {
  return (error: Error | null, callback: (error: Error | null) => void): void => {
    const reason = error === null ? 'the stream was destroyed' : `the stream failed: ${error.message}`;
    copy.abort(reason).then(() => {
      callback(error);
    }, callback);
  };
}

/** Destroys the stream of a COPY that has failed with `error`, or was left. */
function end(stream: Readable | Writable, copy: StreamedCopy, error: unknown): void {
  stream.destroy(toldOf(error, copy, stream) ?? undefined);
}

/**
 * What a stream says of the end of its COPY; null: nothing. Whoever has left a COPY listens to it no more, and an 'error' event without
 * a listener ends the process. The reason of a cancellation is for who does listen, as pipeline() does.
 */
function toldOf(error: unknown, copy: StreamedCopy, stream: Readable | Writable): Error | null {
  const isTold = !copy.wasLeft() || (copy.isCancellation(error) && stream.listenerCount('error') > 0);
  return isTold ? (continuedStack(error, copy.call) as Error) : null;
}
