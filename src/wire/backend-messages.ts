/** A column as `RowDescription` tells it. */
export interface Field {
  readonly name: string;
  readonly tableOid: number;
  readonly tableColumn: number;
  readonly typeOid: number;
  /** Bytes of a value; negative for types of variable size. */
  readonly typeSize: number;
  readonly typmod: number;
}

/** The backend's process id and the secret that a cancel request has to show. */
export interface BackendKey {
  readonly pid: number;
  readonly secret: number;
}

/** A message that arrived through LISTEN. */
export interface Notification {
  readonly channel: string;
  readonly payload: string;
  readonly pid: number;
}

/** What `CopyInResponse` and `CopyOutResponse` say of the data. */
export function readCopyFormat(bytes: Buffer, start: number): { binary: boolean; columns: number } {
  return { binary: bytes[start] === 1, columns: bytes.readInt16BE(start + 1) };
}

function endOfString(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(0, start);
  return end < 0 ? bytes.length : end;
}

/** The columns of a `RowDescription` whose body begins at `start`. */
export function readRowDescription(bytes: Buffer, start: number): Field[] {
  const count = bytes.readUInt16BE(start);
  const fields = new Array<Field>(count);
  let at = start + 2;
  for (let i = 0; i < count; i++) {
    const end = endOfString(bytes, at);
    const name = bytes.utf8Slice(at, end);
    at = end + 1;
    fields[i] = {
      name,
      tableOid: bytes.readUInt32BE(at),
      tableColumn: bytes.readUInt16BE(at + 4),
      typeOid: bytes.readUInt32BE(at + 6),
      typeSize: bytes.readInt16BE(at + 10),
      typmod: bytes.readInt32BE(at + 12),
    };
    at += 18;
  }
  return fields;
}

/** The fields of an `ErrorResponse` or `NoticeResponse`, by their letter. */
export function readErrorFields(bytes: Buffer, start: number, end: number): Map<string, string> {
  const fields = new Map<string, string>();
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const stop = Math.min(endOfString(bytes, at + 1), end);
    fields.set(String.fromCharCode(bytes[at]!), bytes.utf8Slice(at + 1, stop));
    at = stop + 1;
  }
  return fields;
}

/** The tag of a `CommandComplete`, such as `INSERT 0 1`. */
export function readTag(bytes: Buffer, start: number, end: number): string {
  return bytes.latin1Slice(start, end - 1);
}

/** Name and value of a `ParameterStatus`. */
export function readParameterStatus(
  bytes: Buffer,
  start: number,
  end: number,
): [name: string, value: string] {
  const stop = endOfString(bytes, start);
  return [bytes.utf8Slice(start, stop), bytes.utf8Slice(stop + 1, end - 1)];
}

/** What a `BackendKeyData` holds. */
export function readBackendKey(bytes: Buffer, start: number): BackendKey {
  return { pid: bytes.readUInt32BE(start), secret: bytes.readUInt32BE(start + 4) };
}

/** What a `NotificationResponse` holds. */
export function readNotification(bytes: Buffer, start: number, end: number): Notification {
  const stop = endOfString(bytes, start + 4);
  return {
    pid: bytes.readUInt32BE(start),
    channel: bytes.utf8Slice(start + 4, stop),
    payload: bytes.utf8Slice(stop + 1, end - 1),
  };
}
