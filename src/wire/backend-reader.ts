import { readInt32 } from './backend-messages.js';
import { Backend, isBackendMessage } from './protocol.js';

/** Where the messages go. Bodies are `bytes[start..end)`, valid only during the call. */
export interface MessageSink {
  /** A `DataRow`, by far the most frequent message. */
  onRow(bytes: Buffer, start: number, end: number): void;
  /** Any other message, whose header is the five bytes before `start`. What follows one another as CopyData may come joined. */
  onMessage(type: number, bytes: Buffer, start: number, end: number): void;
  /** The bytes are not the PostgreSQL protocol. Nothing is read after this. */
  onGarbage(detail: string): void;
}

const HEADER = 5;
/** What libpq takes before it believes that the peer speaks the protocol. */
const LONGEST_IN_STARTUP = 30_000;
/** What only data and texts exceed: a longer message of any other type is one whose length is wrong, as libpq has it too. */
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
/** A longer message gets its memory as its bytes arrive: what it says of its length is not believed yet. */
const AT_ONCE = 2 ** 21;
const NOTHING = Buffer.alloc(0);

/**
 * Cuts the byte stream of a backend into messages, copying only those that straddle two chunks.
 */
export class BackendReader {
  readonly #sink: MessageSink;
  /** The first bytes of a message that is not complete yet, and how many there are. */
  #begun: Buffer = NOTHING;
  #have = 0;
  #longest = LONGEST_IN_STARTUP;
  #stopped = false;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** The peer has proven to be a server: from here messages may be as long as the protocol allows. */
  startupDone(): void {
    this.#longest = 0x7fffffff;
  }

  /** Ignore everything from here, also what is left of the chunk being read. */
  stop(): void {
    this.#stopped = true;
    this.#begun = NOTHING;
  }

  /** Takes the next chunk of the stream and delivers the messages that it completes. The chunk may be changed. */
  push(chunk: Buffer): void {
    if (this.#stopped) return;
    const at = this.#have === 0 ? 0 : this.#completeStraddling(chunk);
    if (at >= 0) this.#read(chunk, at);
  }

  /** Finishes the message begun in earlier chunks. Returns where reading goes on, or -1 when more is needed. */
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
    // One call for what is cut within its header and what is cut behind it: a call that the first results happen not to reach would
    // have this method compiled anew as soon as a later one does.
    if (at < end) this.#keep(chunk, at, end, needed);
  }

  /**
   * Delivers the CopyData at `at` and those that follow it in the chunk as one. A server sends a message for each row, and to have
   * each go its way by itself would take several times as long as to move its bytes up to those before. Returns where reading goes on.
   */
  #deliverJoined(chunk: Buffer, at: number, end: number): number {
    let joined = end;
    let next = end;
    while (chunk.length - next >= HEADER && chunk[next] === Backend.CopyData) {
      const length = readInt32(chunk, next + 1);
      const behind = next + 1 + length;
      // What is not complete, or garbage, is dealt with in the usual way.
      if (length < 4 || behind > chunk.length) break;
      chunk.copyWithin(joined, next + HEADER, behind);
      joined += length - 4;
      next = behind;
    }
    if (next > end) chunk.writeInt32BE(joined - at - 1, at + 1);
    this.#deliver(chunk, at, joined);
    return next;
  }

  /** Copies a piece of a message of `needed` bytes: the chunk's memory is the socket's, and about to be overwritten. */
  #keep(chunk: Buffer, start: number, end: number, needed: number): void {
    const have = this.#have + end - start;
    const room = this.#begun.length;
    if (have > room) {
      const grown = Buffer.allocUnsafe(Math.min(needed, Math.max(have, room * 2, AT_ONCE)));
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

  /** Length of the message at `at`, its type byte included; -1 after garbage. */
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
