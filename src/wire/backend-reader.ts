import { readInt32 } from './backend-messages.js';
import { Backend, isBackendMessage } from './protocol.js';

/** Receives the messages. A body is `bytes[start..end)` and is valid only during the call. */
export interface MessageSink {
  /** A `DataRow`, the most frequent message by far. */
  onRow(bytes: Buffer, start: number, end: number): void;
  /** Any other message; its header is the five bytes before `start`. Consecutive CopyData messages may arrive joined into one. */
  onMessage(type: number, bytes: Buffer, start: number, end: number): void;
  /** The bytes are not the PostgreSQL protocol. The reader stops. */
  onGarbage(detail: string): void;
}

const HEADER = 5;
/** libpq's limit before the peer has proven that it speaks the protocol. */
const LONGEST_IN_STARTUP = 30_000;
/** libpq's limit for all types but those in OFTEN_LONG: a greater length means that the stream is corrupt. */
const LONGEST_OF_OTHERS = 30_000;
const OFTEN_LONG: ReadonlySet<number> = new Set([
  Backend.DataRow,
  Backend.CopyData,
  Backend.RowDescription,
  Backend.ParameterDescription,
  Backend.ErrorResponse,
  Backend.NoticeResponse,
  Backend.NotificationResponse,
  Backend.FunctionCallResponse,
]);
/** A longer message gets its memory as its bytes arrive, since the length it declares is not trusted yet. */
const MAX_UNTRUSTED_ALLOCATION = 2 ** 21;
const NOTHING = Buffer.alloc(0);

/** Splits a backend's byte stream into messages. Only messages that straddle two chunks are copied. */
export class BackendReader {
  readonly #sink: MessageSink;
  /** The first `#have` bytes of an incomplete message. */
  #begun: Buffer = NOTHING;
  #have = 0;
  #longest = LONGEST_IN_STARTUP;
  #stopped = false;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** Lifts the limit on length to the protocol's own, once the peer has proven to be a server. */
  startupDone(): void {
    this.#longest = 0x7fffffff;
  }

  /** Ignores all further bytes, including the rest of the current chunk. */
  stop(): void {
    this.#stopped = true;
    this.#begun = NOTHING;
  }

  /** Takes the next chunk and delivers the messages that it completes. Joining CopyData messages changes the chunk's bytes. */
  push(chunk: Buffer): void {
    if (this.#stopped) return;
    const at = this.#have === 0 ? 0 : this.#completeStraddling(chunk);
    if (at >= 0) this.#read(chunk, at);
  }

  /** Completes the message begun in earlier chunks. Returns the position after it, or -1 if more bytes are needed. */
  #completeStraddling(chunk: Buffer): number {
    let taken = 0;
    if (this.#have < HEADER) {
      taken = Math.min(HEADER - this.#have, chunk.length);
      this.#keep(chunk, 0, taken, HEADER);
      if (this.#have < HEADER) return -1;
    }
    const needed = this.#messageLength(this.#begun, 0);
    if (needed < 0) return -1;
    const more = Math.min(needed - this.#have, chunk.length - taken);
    this.#keep(chunk, taken, taken + more, needed);
    if (this.#have < needed) return -1;
    const message = this.#begun;
    this.#begun = NOTHING;
    this.#have = 0;
    this.#deliver(message, 0, needed);
    return this.#stopped ? -1 : taken + more;
  }

  #read(chunk: Buffer, from: number): void {
    const end = chunk.length;
    let at = from;
    let needed = HEADER;
    while (end - at >= HEADER) {
      const length = this.#messageLength(chunk, at);
      if (length < 0) return;
      if (at + length > end) {
        needed = length;
        break;
      }
      const next = at + length;
      if (chunk[at] === Backend.CopyData) {
        at = this.#deliverJoined(chunk, at, next);
      } else {
        this.#deliver(chunk, at, next);
        at = next;
      }
      if (this.#stopped) return;
    }
    // One call site serves both a cut header and a cut body. A second call site that the first results never reach would make V8
    // deoptimize this method when a later result does.
    if (at < end) this.#keep(chunk, at, end, needed);
  }

  /**
   * Delivers the CopyData at `at` joined with those that follow it in the chunk. A server sends one message per row; handling
   * each by itself would take several times as long as moving its bytes next to the previous ones. Returns the position after
   * them.
   */
  #deliverJoined(chunk: Buffer, at: number, end: number): number {
    let joined = end;
    let next = end;
    while (chunk.length - next >= HEADER && chunk[next] === Backend.CopyData) {
      const length = readInt32(chunk, next + 1);
      const behind = next + 1 + length;
      // The caller's loop handles an incomplete message and garbage.
      if (length < 4 || behind > chunk.length) break;
      chunk.copyWithin(joined, next + HEADER, behind);
      joined += length - 4;
      next = behind;
    }
    if (next > end) chunk.writeInt32BE(joined - at - 1, at + 1);
    this.#deliver(chunk, at, joined);
    return next;
  }

  /** Copies a piece of a message of `needed` bytes, since the next read overwrites the chunk's memory. */
  #keep(chunk: Buffer, start: number, end: number, needed: number): void {
    const have = this.#have + end - start;
    const room = this.#begun.length;
    if (have > room) {
      const grown = Buffer.allocUnsafe(Math.min(needed, Math.max(have, room * 2, MAX_UNTRUSTED_ALLOCATION)));
      this.#begun.copy(grown, 0, 0, this.#have);
      this.#begun = grown;
    }
    chunk.copy(this.#begun, this.#have, start, end);
    this.#have = have;
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    if (bytes[at] === Backend.DataRow) this.#sink.onRow(bytes, at + HEADER, end);
    else this.#sink.onMessage(bytes[at]!, bytes, at + HEADER, end);
  }

  /** The length of the message at `at`, including its type byte; -1 for garbage. */
  #messageLength(bytes: Buffer, at: number): number {
    const type = bytes[at]!;
    const length = readInt32(bytes, at + 1);
    if (
      !isBackendMessage[type] ||
      length < 4 ||
      length > this.#longest ||
      (length > LONGEST_OF_OTHERS && !OFTEN_LONG.has(type))
    ) {
      this.stop();
      this.#sink.onGarbage(
        `a message of type 0x${type.toString(16).padStart(2, '0')} and length ${String(length)}`,
      );
      return -1;
    }
    return length + 1;
  }
}
