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
