/** A parameter: its text, null for NULL, or its bytes in binary format. */
interface BoundParam {
  readonly text: string | null;
  readonly bytes?: Uint8Array | undefined;
}

/** Few statements are longer, and this little of Node's buffer pool is cheap to take. */
const MIN_BUFFER = 1024;
const MAX_BUFFER = 131_072;
const TEXT_ONLY: readonly number[] = [];
const NOTHING = Buffer.alloc(0);
/** From this length on, counting the bytes of a text before writing it pays off. */
const CHEAP_TO_COUNT = 512;
/** Up to this length, writing a text here is faster than a call of native code. Most names are empty, and most values short. */
const SHORT = 12;
const ASCII = 0x7f;

/** An upper bound of a text's bytes: a UTF-16 unit takes up to three in UTF-8. */
function maxBytes(text: string): number {
  return text.length < CHEAP_TO_COUNT ? text.length * 3 : Buffer.byteLength(text);
}

/** The header of a CopyData whose `length` bytes of data are written separately. */
export function copyDataHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head[0] = 0x64;
  head.writeInt32BE(length + 4, 1);
  return head;
}

/**
 * Builds frontend messages of the extended protocol in one growing buffer, so that all messages of a turn of the event loop leave
 * in one write.
 */
export class FrontendWriter {
  /** Allocated with the first message: most sessions are idle most of the time. */
  #bytes = NOTHING;
  /** The estimated size in bytes of the next messages. */
  #expected = MIN_BUFFER;
  #at = 0;

  get empty(): boolean {
    return this.#at === 0;
  }

  /** Bytes written and not taken yet. */
  get length(): number {
    return this.#at;
  }

  /** Returns the bytes written since the last call and resets the writer. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    // The socket may keep these bytes indefinitely, so the next messages need new memory; about the same size is likely.
    this.#expected = Math.min(Math.max(MIN_BUFFER, this.#at), MAX_BUFFER);
    this.#bytes = NOTHING;
    this.#at = 0;
    return taken;
  }

  /** Parse: prepares `text` under `name`, or as the unnamed statement. An oid of 0 leaves the type to the server. */
  parse(name: string, text: string, types: readonly { readonly oid: number }[]): void {
    const start = this.#begin(0x50);
    this.#string(name);
    this.#string(text);
    this.#room(2 + types.length * 4);
    this.#int16(types.length);
    for (const { oid } of types) this.#int32(oid);
    this.#end(start);
  }

  /** Bind: parameters as text, or as `bytes` in binary format; unnamed portal; results in `formats`, one for each column, by default text. */
  bind(name: string, params: readonly BoundParam[], formats: readonly number[] = TEXT_ONLY): void {
    const start = this.#begin(0x42);
    this.#string('');
    this.#string(name);
    // Without format codes, all parameters are text. The first binary one inserts them, so that each is looked at once.
    const codes = this.#at;
    let hasCodes = false;
    this.#room(4);
    this.#int16(0);
    this.#int16(params.length);
    for (let i = 0; i < params.length; i++) {
      const { text, bytes } = params[i]!;
      if (bytes !== undefined) {
        if (!hasCodes) this.#insertTextCodes(codes, params.length);
        hasCodes = true;
        this.#bytes[codes + 2 * i + 3] = 1;
        this.#room(4 + bytes.length);
        this.#int32(bytes.length);
        this.#append(bytes);
      } else if (text === null) {
        this.#room(4);
        this.#int32(-1);
      } else {
        this.#room(4 + maxBytes(text));
        const written = this.#text(text, this.#at + 4);
        this.#int32(written);
        this.#at += written;
      }
    }
    this.#room(2 + 2 * formats.length);
    this.#int16(formats.length);
    for (const format of formats) this.#int16(format);
    this.#end(start);
  }

  /** Makes room at `at`, where a Bind has no format codes, for those of `count` parameters: all are text so far. */
  #insertTextCodes(at: number, count: number): void {
    const values = at + 2;
    const size = 2 * count;
    this.#room(size);
    this.#bytes.copyWithin(values + size, values, this.#at);
    this.#bytes.fill(0, values, values + size);
    this.#bytes.writeUInt16BE(count, at);
    this.#at += size;
  }

  /** Describe a portal, by default the unnamed one: answered by RowDescription or NoData. */
  describePortal(name = ''): void {
    this.#named(0x44, 0x50, name);
  }

  /** Execute the unnamed portal, to its end or for the next `rows` rows. */
  execute(rows = 0): void {
    const start = this.#begin(0x45);
    this.#room(5);
    this.#bytes[this.#at++] = 0;
    this.#int32(rows);
    this.#end(start);
  }

  /** Close a portal, by default the unnamed one; it is no error if there is none of that name. */
  closePortal(name = ''): void {
    this.#named(0x43, 0x50, name);
  }

  /** Flush: the server sends what it has. */
  flush(): void {
    this.#end(this.#begin(0x48));
  }

  /** CopyData: a piece of a COPY FROM STDIN. */
  copyData(data: Uint8Array): void {
    const start = this.#begin(0x64);
    this.#room(data.length);
    this.#append(data);
    this.#end(start);
  }

  /** CopyDone: the end of a COPY FROM STDIN. */
  copyDone(): void {
    this.#end(this.#begin(0x63));
  }

  /** Close a prepared statement; it is no error if there is none of that name. */
  closeStatement(name: string): void {
    this.#named(0x43, 0x53, name);
  }

  /** Sync: ends the implicit transaction, and the skipping after an error. */
  sync(): void {
    this.#end(this.#begin(0x53));
  }

  /** CopyFail: ends a COPY FROM STDIN with an error that says `reason`. */
  copyFail(reason: string): void {
    const start = this.#begin(0x66);
    this.#string(reason);
    this.#end(start);
  }

  /** Terminate: a clean goodbye. */
  terminate(): void {
    this.#end(this.#begin(0x58));
  }

  /** A message about a statement (`S`) or a portal (`P`). */
  #named(type: number, kind: number, name: string): void {
    const start = this.#begin(type);
    this.#room(1);
    this.#bytes[this.#at++] = kind;
    this.#string(name);
    this.#end(start);
  }

  #begin(type: number): number {
    this.#room(5);
    const start = this.#at;
    this.#bytes[start] = type;
    this.#at = start + 5;
    return start;
  }

  #end(start: number): void {
    this.#bytes.writeInt32BE(this.#at - start - 1, start + 1);
  }

  /** Writes a text, for which there is room; returns its number of bytes. */
  #text(text: string, at: number): number {
    const { length } = text;
    if (length > SHORT) return this.#bytes.utf8Write(text, at);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > ASCII) return this.#bytes.utf8Write(text, at);
      this.#bytes[at + i] = code;
    }
    return length;
  }

  #string(text: string): void {
    this.#room(maxBytes(text) + 1);
    this.#at += this.#text(text, this.#at);
    this.#bytes[this.#at++] = 0;
  }

  #append(data: Uint8Array): void {
    this.#bytes.set(data, this.#at);
    this.#at += data.length;
  }

  #int16(value: number): void {
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  #int32(value: number): void {
    this.#bytes[this.#at++] = value >>> 24;
    this.#bytes[this.#at++] = value >>> 16;
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  #room(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#expected, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}
