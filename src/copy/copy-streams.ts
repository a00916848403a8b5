import type { Readable, Writable } from 'node:stream';
import { continuedStack, type CallSite } from '../errors/callers-stack.js';
import { node } from '../node-modules.js';

/** The bytes that a stream buffers before it applies backpressure. */
const HIGH_WATER = 65_536;

/** The part of a COPY that its streams use. */
export interface StreamedCopy {
  /** The call that made the stream, for its 'error' event, which has no awaiting caller. */
  readonly call: CallSite | null;
  write(data: string | Uint8Array): Promise<void>;
  finish(): Promise<void>;
  read(): Promise<Buffer>;
  abort(reason: string): Promise<void>;
  /** Whether the client ended the COPY: its user aborted it, or its scope, block, cursor or connection was left. */
  wasLeft(): boolean;
  /** Whether `error` is the reason with which its user cancelled it. */
  isCancellation(error: unknown): boolean;
  /** Calls `tell` with the COPY's error, even if nothing is being written or read at that time. */
  onFailure(tell: (error: unknown) => void): void;
}

/**
 * A COPY … FROM STDIN as a stream. Its end finishes the COPY, destroying it aborts the COPY. It is destroyed if the COPY ends
 * before, even if its source is silent.
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
  const writable = new node.stream.Writable({
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

/** A COPY … TO STDOUT as a stream. Destroying it before its end cancels the COPY. It is destroyed if the COPY ends before. */
export function copyReadable(copy: StreamedCopy): Readable {
  const readable = new node.stream.Readable({
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

/** Destroys the stream of a COPY that failed with `error` or was left. */
function end(stream: Readable | Writable, copy: StreamedCopy, error: unknown): void {
  stream.destroy(toldOf(error, copy, stream) ?? undefined);
}

/**
 * The error that a stream emits at the end of its COPY, or null. A user that has left a COPY no longer listens to it, and an
 * 'error' event without a listener ends the process. The reason of a cancellation is emitted only to a listener, such as
 * pipeline() adds.
 */
function toldOf(error: unknown, copy: StreamedCopy, stream: Readable | Writable): Error | null {
  const isTold = !copy.wasLeft() || (copy.isCancellation(error) && stream.listenerCount('error') > 0);
  return isTold ? (continuedStack(error, copy.call) as Error) : null;
}
