/** Few statements are longer, and so little comes out of the pool that Node keeps for it. */
const INITIAL = 1024;
const MOST = 131_072;
const TEXT_ONLY: readonly number[] = [];
const NOTHING = Buffer.alloc(0);
/** Of a longer text it is worth while to count the bytes before they are written. */
const SHORT = 512;

/** How many bytes a text takes at most: a UTF-16 unit takes up to three of UTF-8. */
function mostBytes(text: string): number {
  return text.length < SHORT ? text.length * 3 : Buffer.byteLength(text);
}

/** The head of a CopyData whose `length` bytes of data follow by themselves. */
export function copyDataHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head[0] = 0x64;
  head.writeInt32BE(length + 4, 1);
  return head;
}

/**
 * Builds frontend messages of the extended protocol into one growing buffer, so that everything sent in a turn of the
 * event loop leaves in one write.
 */
export class FrontendWriter {
  /** None as long as nothing is written: most sessions are idle most of the time. */
  #bytes = NOTHING;
  /** How many bytes the next messages are going to take, as far as can be guessed. */
  #expected = INITIAL;
  #at = 0;

  /** Whether nothing waits to be taken. */
  get empty(): boolean {
    return this.#at === 0;
  }

  /** How many bytes wait to be taken. */
  get length(): number {
    return this.#at;
  }

  /** The bytes written since the last call; the writer starts afresh. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at);
    // A socket may hold the bytes for as long as it likes, so the next messages go to memory of their own: about as much again.
    this.#expected = Math.min(Math.max(INITIAL, this.#at), MOST);
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

  /** Bind: text-format parameters, unnamed portal; results in `formats`, one for each column, by default text. */
  bind(
    name: string,
    params: readonly { readonly text: string | null }[],
    formats: readonly number[] = TEXT_ONLY,
  ): void {
    const start = this.#begin(0x42);
    this.#string('');
    this.#string(name);
    this.#room(4);
    this.#int16(0);
    this.#int16(params.length);
    for (const { text } of params) {
      if (text === null) {
        this.#room(4);
        this.#int32(-1);
      } else {
        this.#room(4 + mostBytes(text));
        const written = this.#bytes.utf8Write(text, this.#at + 4);
        this.#int32(written);
        this.#at += written;
      }
    }
    this.#room(2 + 2 * formats.length);
    this.#int16(formats.length);
    for (const format of formats) this.#int16(format);
    this.#end(start);
  }

  /** Describe a portal, by default the unnamed one: answered by RowDescription or NoData. */
  describePortal(name = ''): void {
    const start = this.#begin(0x44);
    this.#room(1);
    this.#bytes[this.#at++] = 0x50;
    this.#string(name);
    this.#end(start);
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
    const start = this.#begin(0x43);
    this.#room(1);
    this.#bytes[this.#at++] = 0x50;
    this.#string(name);
    this.#end(start);
  }

  /** Flush: the server sends what it has. */
  flush(): void {
    this.#end(this.#begin(0x48));
  }

  /** CopyData: a piece of a COPY FROM STDIN. */
  copyData(data: Uint8Array): void {
    const start = this.#begin(0x64);
    this.#room(data.length);
    this.#bytes.set(data, this.#at);
    this.#at += data.length;
    this.#end(start);
  }

  /** CopyDone: the end of a COPY FROM STDIN. */
  copyDone(): void {
    this.#end(this.#begin(0x63));
  }

  /** Close a prepared statement; it is no error if there is none of that name. */
  closeStatement(name: string): void {
    const start = this.#begin(0x43);
    this.#room(1);
    this.#bytes[this.#at++] = 0x53;
    this.#string(name);
    this.#end(start);
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

  #string(text: string): void {
    this.#room(mostBytes(text) + 1);
    this.#at += this.#bytes.utf8Write(text, this.#at);
    this.#bytes[this.#at++] = 0;
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
