import { Backend, isBackendMessage } from './protocol.js';

// The messages of the server: how its bytes are split into messages, and how the body of each is read.

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

// --- bodies

/** A column of a `RowDescription` message. */
export interface Field {
  readonly name: string;
  readonly tableOid: number;
  readonly tableColumn: number;
  readonly typeOid: number;
  /** Size of a value in bytes; negative for variable-length types. */
  readonly typeSize: number;
  readonly typmod: number;
  /**
   * 1 for the binary format; 0 for text. The Describe of a statement always answers 0, since the Bind that follows chooses the
   * format.
   */
  readonly format: number;
}

/** The backend's process id and the secret that authorises a cancel request. */
export interface BackendKey {
  readonly pid: number;
  readonly secret: number;
}

/** A message received after LISTEN. */
export interface Notification {
  readonly channel: string;
  readonly payload: string;
  readonly pid: number;
}

/**
 * The server's message contradicts itself or the request, so that no later message can be trusted. The error's message continues
 * a sentence that ends with "it sent".
 */
export class ProtocolViolation extends Error {}

/** Reads the formats that `CopyInResponse` and `CopyOutResponse` declare. */
export function readCopyFormat(
  bytes: Buffer,
  start: number,
  end: number,
): { binary: boolean; columns: number } {
  const columns = end - start < 3 ? -1 : bytes.readInt16BE(start + 1);
  checkThat(columns >= 0 && bytes[start]! <= 1 && end === start + 3 + 2 * columns, 'a CopyResponse');
  return { binary: bytes[start] === 1, columns };
}

function checkThat(condition: boolean, what: string): void {
  if (!condition) throw new ProtocolViolation(`${what} that contradicts its length`);
}

/** The position of the NUL that terminates the string at `start`. */
function endOfString(bytes: Buffer, start: number, end: number, what: string): number {
  const stop = start < end ? bytes.indexOf(0, start) : -1;
  checkThat(stop >= 0 && stop < end, what);
  return stop;
}

/** Bytes that follow the name of a field in a `RowDescription`. */
const FIELD_SIZE = 18;

/** Reads the columns of a `RowDescription`. As in all these functions, the message's body is `bytes[start..end)`. */
export function readRowDescription(bytes: Buffer, start: number, end: number): Field[] {
  const what = 'a RowDescription';
  checkThat(end - start >= 2, what);
  const count = bytes.readUInt16BE(start);
  const fields: Field[] = [];
  let at = start + 2;
  for (let i = 0; i < count; i++) {
    const stop = endOfString(bytes, at, end, what);
    const name = bytes.utf8Slice(at, stop);
    at = stop + 1;
    checkThat(at + FIELD_SIZE <= end, what);
    fields.push({
      name,
      tableOid: bytes.readUInt32BE(at),
      tableColumn: bytes.readUInt16BE(at + 4),
      typeOid: bytes.readUInt32BE(at + 6),
      typeSize: bytes.readInt16BE(at + 10),
      typmod: bytes.readInt32BE(at + 12),
      format: bytes.readInt16BE(at + 16),
    });
    at += FIELD_SIZE;
  }
  checkThat(at === end, what);
  return fields;
}

/** Reads the fields of an `ErrorResponse` or `NoticeResponse`, keyed by their letters. */
export function readErrorFields(bytes: Buffer, start: number, end: number): Map<string, string> {
  const what = 'an error or a notice';
  const fields = new Map<string, string>();
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const stop = endOfString(bytes, at + 1, end, what);
    fields.set(String.fromCharCode(bytes[at]!), bytes.utf8Slice(at + 1, stop));
    at = stop + 1;
  }
  checkThat(at === end - 1, what);
  return fields;
}

/** Reads the tag of a `CommandComplete`, such as `INSERT 0 1`. */
export function readTag(bytes: Buffer, start: number, end: number): string {
  const stop = endOfString(bytes, start, end, 'a CommandComplete');
  checkThat(stop === end - 1, 'a CommandComplete');
  return bytes.latin1Slice(start, stop);
}

/** Reads the name and value of a `ParameterStatus`. */
export function readParameterStatus(
  bytes: Buffer,
  start: number,
  end: number,
): [name: string, value: string] {
  return readTwoStrings(bytes, start, end, 'a ParameterStatus');
}

/** Reads a `BackendKeyData`. */
export function readBackendKey(bytes: Buffer, start: number, end: number): BackendKey {
  checkThat(end - start === 8, 'a BackendKeyData');
  return { pid: bytes.readUInt32BE(start), secret: bytes.readUInt32BE(start + 4) };
}

/** Reads a `NotificationResponse`. */
export function readNotification(bytes: Buffer, start: number, end: number): Notification {
  const [channel, payload] = readTwoStrings(bytes, start + 4, end, 'a NotificationResponse');
  return { pid: bytes.readUInt32BE(start), channel, payload };
}

/** Reads the status byte of a `ReadyForQuery`: idle, in a transaction, or in a failed transaction. */
export function readStatusByte(bytes: Buffer, start: number, end: number): number {
  const status = bytes[start]!;
  checkThat(end - start === 1 && (status === 0x49 || status === 0x54 || status === 0x45), 'a ReadyForQuery');
  return status;
}

/** Checks that a message without content has an empty body. */
export function checkEmpty(start: number, end: number): void {
  checkThat(start === end, 'an acknowledgement');
}

/** Reads a name, which must not be empty, and the string that follows it. */
function readTwoStrings(bytes: Buffer, start: number, end: number, what: string): [string, string] {
  const middle = endOfString(bytes, start, end, what);
  const stop = endOfString(bytes, middle + 1, end, what);
  checkThat(middle > start && stop === end - 1, what);
  return [bytes.utf8Slice(start, middle), bytes.utf8Slice(middle + 1, stop)];
}

/** Reads a signed 32-bit integer. The caller has checked that four bytes are there. */
export function readInt32(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
