import type { Readable, Writable } from 'node:stream';
import type { AdaptersMap } from '../types/adapters-map.js';
import { callersStack, callSite, type CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { CopyChannel } from '../session/copy-channel.js';
import { BinaryRowReader, BinaryRowWriter } from './binary-rows.js';
import { Block, BLOCK } from './block.js';
import { copyReadable, copyWritable, type StreamedCopy } from './copy-streams.js';
import { isUint8Array } from '../types/realm.js';
import { writeUtf8 } from '../types/write-text.js';
import { RowPlace, type RowReader, type RowWriter } from './row-format.js';
import { whyNotRows, whyNotTexts, whyNotTypes } from './row-rules.js';
import { TextRowReader, TextRowWriter } from './text-rows.js';

/** How a COPY has ended: with the server's tag, or before its time. */
export interface CopyEnd {
  /** The tag, such as `COPY 3`; null if it has not been completed. */
  readonly tag: string | null;
}

/** What an `AsyncCopy` is made of. */
export interface CopyParts {
  readonly channel: CopyChannel;
  readonly adapters: AdaptersMap;
  /** The statement as it was sent, and as it may be shown: without values. */
  readonly statement: string;
  readonly query: string;
  /** The encoding that the session has been set to, if it is not the library's; else null. */
  readonly foreignEncoding: string | null;
  /** Whether it was given no other statements behind it. */
  readonly alone: boolean;
  /** What it is ended by, at any time. */
  readonly signal: AbortSignal | undefined;
  /** Raises `InterfaceError` if the connection has been given back. */
  check(): void;
  /** Whether the connection was given back, or closed, rather than lost. */
  isConnectionLeft(): boolean;
  /** Calls `listener` once when the connection can't be used any more. Returns what takes the listener off again. */
  onConnectionEnd(listener: () => void): () => void;
  /** Called once, when the COPY has ended. */
  onEnd(end: CopyEnd): void;
}

/** A piece of so many bytes goes as it is: to gather it would be to copy it once more. */
const LARGE = BLOCK / 4;

const QUERY_CANCELED = '57014';
const DONE = Promise.resolve();
const NOTHING = Buffer.alloc(0);

/**
 * A COPY under way, made by `cur.copy()` or `cur.withCopy()` (Psycopg: `AsyncCopy`). Data goes in or out as bytes (`write()`,
 * `read()`, iteration, Node streams) or as rows (`writeRow()`, `readRow()`, `rows()`).
 *
 * A COPY … FROM STDIN is completed by `finish()` only: leaving the scope without it aborts, and nothing is stored. Leaving a
 * COPY … TO STDOUT before its end cancels it. Either way the connection can be used again. Until then the COPY has the
 * connection to itself: another statement on it is refused.
 *
 * An error of the server rejects the call that meets it, with its SQLSTATE and, in `diag.context`, the line of the data. Wrong use
 * (writing to a COPY TO, reading from a COPY FROM, going on after the end) raises `OperationalError`, as in Psycopg.
 *
 * @example
 * await using copy = await cur.copy('COPY city (id, name) FROM STDIN');
 * for (const city of cities) await copy.writeRow([city.id, city.name]);
 * await copy.finish();
 *
 * @example
 * // from one database to another, with backpressure
 * await using out = await source.cursor().copy('COPY city TO STDOUT (FORMAT binary)');
 * await using into = await target.cursor().copy('COPY city FROM STDIN (FORMAT binary)');
 * await pipeline(out.readable(), into.writable());
 * await target.commit();
 */
export class AsyncCopy implements AsyncDisposable, AsyncIterable<Buffer> {
  readonly #parts: CopyParts;
  readonly #channel: CopyChannel;
  #block: Block | null = null;
  #writer: RowWriter | null = null;
  #reader: RowReader | null = null;
  readonly #noRows: string | null;
  readonly #noTexts: string | null;

  #state: 'open' | 'finishing' | 'finished' | 'failed' | 'aborted' = 'open';
  /** What it failed with, or was aborted for. */
  #cause: unknown = undefined;
  #reading = false;
  #announced = false;
  #finishing: Promise<void> | null = null;
  #aborting: Promise<void> | null = null;
  #writable: Writable | null = null;
  #readable: Readable | null = null;

  /** @internal Made by `cur.copy()`. */
  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.#channel = parts.channel;
    this.#noTexts = whyNotTexts(parts.statement, parts.foreignEncoding);
    this.#noRows = this.#noTexts ?? (parts.channel.binary ? null : whyNotRows(parts.statement));
  }

  /** Whether it is over, well or not. @internal */
  get ended(): boolean {
    return this.#channel.ended || this.#announced;
  }

  // --- COPY … FROM STDIN

  /**
   * Writes data in the format of the COPY, cut anywhere; a string is sent as UTF-8 (Psycopg: `write()`). Small pieces are gathered
   * into blocks; large ones are not copied, so leave their bytes as they are until it resolves, which is when more may be written.
   * Raises `ProgrammingError` for a string if the format is binary.
   */
  write(data: string | Uint8Array): Promise<void> {
    try {
      this.#check('in', 'write()');
      const block = (this.#block ??= new Block());
      if (typeof data === 'string') {
        if (this.#channel.binary) {
          throw this.#misuse('a COPY in the binary format takes bytes, not a string: write a Uint8Array');
        }
        if (this.#noTexts !== null) throw this.#misuse(this.#noTexts);
        const start = block.length;
        try {
          writeUtf8(data, block, new RowPlace());
        } catch {
          block.length = start;
          throw new errors.DataError(
            "write(): the string has a NUL character ('\\0') or a lone surrogate, which PostgreSQL can't store",
          );
        }
      } else if (isUint8Array(data)) {
        if (this.#channel.binary && data.length > 0) this.#rowWriter().passed();
        if (data.length >= LARGE) return this.#send(data);
        block.append(data);
      } else {
        throw this.#misuse(`expected write() to get a string or a Uint8Array, got ${describe(data)}`);
      }
      return block.length >= BLOCK ? this.#send(null) : DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes a row, encoded as the format wants it (Psycopg: `write_row()`). Resolves when more may be written. In the binary format
   * the values' types must be those of the columns exactly: name them with `setTypes()`. Raises `DataError` that names row and
   * column for a value that can't be sent, and `BadCopyFileFormat` for another number of values than the COPY has columns; the
   * row is left out, and writing may go on. Raises `ProgrammingError` if the COPY is in csv, or has another delimiter, NULL or
   * encoding than text has by default.
   */
  writeRow(row: readonly unknown[]): Promise<void> {
    try {
      this.#check('in', 'writeRow()');
      this.#rowWriter(true).write(row);
      return this.#block!.length >= BLOCK ? this.#send(null) : DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Names the types of the columns, by name (`int4`, `timestamptz[]`) or oid (Psycopg: `set_types()`). Written rows are encoded as
   * these types, which the binary format needs; read rows are loaded as them, where they are strings or, in the binary format,
   * bytes otherwise; data that are no values of them are a `DataError`. A `json` or `jsonb` column takes any value, as if it were
   * wrapped, one of a composite or hstore plain objects. Raises `ProgrammingError` for a name that is not known (see `TypeInfo`),
   * `NotSupportedError` for a type that has no binary format here (geometric types, money, tsvector and other rare ones, unless
   * `adapters.registerCodec()` brings it), and for another number of types than there are columns `DataError` (writing) or
   * `ProgrammingError` (reading).
   */
  setTypes(types: readonly (string | number)[]): void {
    this.#parts.check();
    const { direction, columns } = this.#channel;
    if (this.#noRows !== null) throw this.#misuse(this.#noRows);
    if (!Array.isArray(types))
      throw this.#misuse(`expected setTypes() to get an array, got ${describe(types)}`);
    const problem = direction === 'out' ? whyNotTypes(this.#parts.statement) : null;
    if (problem !== null) throw this.#misuse(problem);
    if (types.length !== columns) {
      const message = `setTypes() got ${String(types.length)} types, but the COPY has ${String(columns)} columns`;
      const { query } = this.#parts;
      throw direction === 'in'
        ? new errors.DataError(message, { query })
        : new errors.ProgrammingError(message, { query });
    }
    const oids = types.map((type: string | number) => this.#oidOf(type));
    if (direction === 'in') this.#rowWriter().setTypes(oids);
    else this.#rowReader().setTypes(oids);
  }

  /**
   * Completes a COPY … FROM STDIN (Psycopg: the end of the block): what has been written is stored when the transaction commits.
   * Sets the cursor's `rowcount` and `statusmessage`. Rejects with the server's error. Done once; then it does nothing more.
   */
  async finish(): Promise<void> {
    if (this.#finishing === null) {
      if (this.#state === 'failed') throw this.#cause as Error;
      this.#check('in', 'finish()');
      this.#finishing = this.#finish();
    }
    try {
      await this.#finishing;
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Ends it as a block does that is left without an error. @internal */
  async complete(): Promise<void> {
    if (this.#channel.direction === 'in') {
      if (this.#state !== 'aborted') await this.finish();
    } else {
      await this.abort('the COPY was not read to its end');
    }
  }

  async #finish(): Promise<void> {
    this.#state = 'finishing';
    try {
      if (this.#channel.binary) this.#rowWriter().end();
      // What has been sent is on its way whether or not the network has taken it; the answer is what is waited for.
      this.#flush()?.catch(() => undefined);
      const tag = await this.#channel.finish();
      this.#checkAlone();
      this.#state = 'finished';
      this.#announce(tag);
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#release();
    }
  }

  // --- COPY … TO STDOUT

  /**
   * The next piece of data, which is one or more whole rows in the format of the COPY; empty at the end, when the cursor's
   * `rowcount` is set (Psycopg: `read()`). Rejects with the server's error.
   */
  async read(): Promise<Buffer> {
    if (this.#isAtEnd()) return NOTHING;
    this.#check('out', 'read()');
    const rest = this.#reader?.rest() ?? null;
    if (rest !== null) return rest;
    const piece = await this.#receive('read()');
    if (piece === null) return NOTHING;
    if (this.#channel.binary) {
      // The reader of rows is to know that the header has gone by.
      const reader = this.#rowReader();
      reader.feed(piece);
      reader.rest();
    }
    return piece;
  }

  /** Iterates over the pieces of data, as `read()` gives them. Leaving the loop leaves the COPY where it is. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return {
      next: async () => {
        const piece = await this.read();
        return piece.length === 0 ? { done: true, value: undefined } : { done: false, value: piece };
      },
    };
  }

  /**
   * The next row; null at the end, when the cursor's `rowcount` is set (Psycopg: `read_row()`). Its values are strings, or bytes if
   * the format is binary, unless `setTypes()` has named their types. Raises `DataError` that names row and column for a value
   * that can't be loaded; the next call goes on behind that row. Raises `ProgrammingError` as `writeRow()` does.
   */
  async readRow(): Promise<unknown[] | null> {
    return this.#isAtEnd() ? null : (this.#rowAtHand() ?? this.#nextRow());
  }

  /** The next row; null if its data has yet to come. */
  #rowAtHand(): unknown[] | null {
    this.#check('out', 'readRow()');
    return this.#rowReader(true).next();
  }

  async #nextRow(): Promise<unknown[] | null> {
    const reader = this.#rowReader();
    for (;;) {
      const piece = await this.#receive('readRow()');
      if (piece === null) return null;
      reader.feed(piece);
      const row = reader.next();
      if (row !== null) return row;
    }
  }

  /** Iterates over the rows, as `readRow()` gives them (Psycopg: `rows()`). Leaving the loop leaves the COPY where it is. */
  rows(): AsyncIterableIterator<unknown[]> {
    const iterator: AsyncIterableIterator<unknown[]> = {
      next: async () => {
        const row = this.#isAtEnd() ? null : (this.#rowAtHand() ?? (await this.#nextRow()));
        return row === null ? { done: true, value: undefined } : { done: false, value: row };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  // --- either way

  /**
   * Ends the COPY before its time. A COPY … FROM STDIN fails on the server with `reason` and stores nothing; a transaction it is part
   * of has failed with it. A COPY … TO STDOUT is cancelled. Resolves when the connection can be used again, or has been given
   * up. Does nothing if the COPY has ended.
   */
  async abort(reason?: string): Promise<void> {
    this.#aborting ??= this.#abort(reason ?? 'the COPY was aborted');
    await this.#aborting;
  }

  async #abort(reason: string): Promise<void> {
    if (this.#announced) return;
    if (this.#state === 'open') {
      this.#state = 'aborted';
      this.#cause = reason;
      this.#release();
    }
    await this.#channel.abort(reason);
    // A call may be waiting for the end of the COPY, and gets its error first.
    await this.#finishing?.catch(() => undefined);
    this.#writable?.destroy();
    this.#readable?.destroy();
    // A COPY TO may have been at its end without having been read to it.
    this.#announce(this.#channel.direction === 'out' ? this.#channel.tag : null);
  }

  /** Leaving the scope aborts what has not been finished. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.abort('the scope of the COPY was left before finish()');
  }

  /**
   * The COPY … FROM STDIN as a stream, for `pipeline()` of `node:stream/promises`: its end is `finish()`; if it is destroyed, or its
   * source fails, the COPY is aborted. If the COPY fails, or the connection is lost, it is destroyed at once, with that error. Once
   * the COPY was aborted, or its scope, block, cursor or connection was left, it is destroyed without an 'error' event. The reason of
   * an aborted `signal` is emitted if there is a listener for 'error', as `pipeline()` adds one.
   *
   * @example
   * await pipeline(createReadStream('city.csv'), copy.writable());
   */
  writable(): Writable {
    this.#check('in', 'writable()');
    return (this.#writable ??= this.#streamed(copyWritable, callSite(AsyncCopy.prototype, 'writable')));
  }

  /**
   * The COPY … TO STDOUT as a stream, for `pipeline()` of `node:stream/promises`: no more is read from the server than its consumer
   * takes; if it is destroyed, or its consumer fails, the COPY is cancelled. It ends as `writable()` does if the COPY ends before.
   *
   * @example
   * await pipeline(copy.readable(), createGzip(), createWriteStream('city.csv.gz'));
   */
  readable(): Readable {
    this.#check('out', 'readable()');
    return (this.#readable ??= this.#streamed(copyReadable, callSite(AsyncCopy.prototype, 'readable')));
  }

  // --- inside

  #streamed<S extends Readable | Writable>(make: (copy: StreamedCopy) => S, call: CallSite | null): S {
    const stream = make({
      call,
      write: (data) => this.write(data),
      finish: () => this.finish(),
      read: () => this.read(),
      abort: (reason) => this.abort(reason),
      wasLeft: () => this.#state === 'aborted' || this.#channel.abandoned || this.#parts.isConnectionLeft(),
      isCancellation: (error) =>
        this.#state !== 'aborted' &&
        ((this.#parts.signal?.aborted === true && error === this.#parts.signal.reason) ||
          (error instanceof errors.Error && error.sqlstate === QUERY_CANCELED)),
      onFailure: (tell) => {
        this.#channel.onFailure(tell);
      },
    });
    // The server may have sent all of a COPY … TO, which nothing ends then.
    const off = this.#parts.onConnectionEnd(() => {
      if (this.#parts.isConnectionLeft()) void this.abort('the connection was closed, or given back');
    });
    stream.once('close', off);
    return stream;
  }

  /** Raises unless the COPY goes this way and is under way. */
  #check(direction: 'in' | 'out', call: string): void {
    this.#parts.check();
    if (this.#channel.direction !== direction) {
      throw new errors.OperationalError(
        direction === 'in'
          ? `${call}: a COPY … TO STDOUT can only be read`
          : `${call}: a COPY … FROM STDIN can only be written`,
        { query: this.#parts.query },
      );
    }
    const { signal } = this.#parts;
    if (this.#state === 'open' && signal?.aborted === true) this.#fail(signal.reason);
    if (this.#state === 'open') return;
    if (this.#state === 'failed' && signal?.aborted === true) throw signal.reason as Error;
    const how =
      this.#state === 'failed'
        ? 'has failed'
        : this.#state === 'aborted'
          ? `was aborted (${String(this.#cause)})`
          : 'has been finished';
    throw new errors.OperationalError(`${call}: the COPY ${how}`, {
      query: this.#parts.query,
      cause: this.#state === 'failed' ? this.#cause : undefined,
    });
  }

  #rowWriter(forRows = false): RowWriter {
    if (forRows && this.#noRows !== null) throw this.#misuse(this.#noRows);
    if (this.#writer !== null) return this.#writer;
    const { adapters, channel } = this.#parts;
    this.#block ??= new Block();
    return (this.#writer = channel.binary
      ? new BinaryRowWriter(this.#block, adapters, channel.columns)
      : new TextRowWriter(this.#block, adapters, channel.columns));
  }

  #rowReader(forRows = false): RowReader {
    if (forRows && this.#noRows !== null) throw this.#misuse(this.#noRows);
    const { adapters, channel } = this.#parts;
    return (this.#reader ??= channel.binary
      ? new BinaryRowReader(adapters, channel.columns)
      : new TextRowReader(adapters, channel.columns));
  }

  /** Sends what has been gathered. */
  #flush(): Promise<void> | null {
    const block = this.#block;
    if (block === null || block.length === 0) return null;
    const wait = this.#channel.write(block.written());
    if (wait === null) block.clear();
    else block.handOver();
    return wait;
  }

  /** Sends what has been gathered, and behind it a large piece as it is. */
  #send(large: Uint8Array | null): Promise<void> {
    try {
      let wait = this.#flush();
      if (large !== null) {
        // Of the two the last one says when more may be written.
        wait?.catch(() => undefined);
        wait = this.#channel.write(large);
      }
      return wait === null ? DONE : this.#taken(wait);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async #taken(wait: Promise<void>): Promise<void> {
    try {
      await wait;
    } catch (error) {
      this.#fail(error);
      throw callersStack(error);
    }
  }

  async #receive(call: string): Promise<Buffer | null> {
    if (this.#reading) throw new errors.ConcurrentCursorUse(this.#parts.query, call);
    this.#reading = true;
    try {
      const piece = await this.#channel.read();
      if (piece === null) {
        this.#checkAlone();
        this.#state = 'finished';
        this.#announce(this.#channel.tag);
      }
      return piece;
    } catch (error) {
      this.#fail(error);
      throw callersStack(error);
    } finally {
      this.#reading = false;
    }
  }

  #fail(error: unknown): void {
    if (this.#state === 'open' || this.#state === 'finishing') {
      this.#state = 'failed';
      this.#cause = error;
    }
    if (this.#channel.ended) this.#announce(null);
  }

  /** Whether a COPY … TO has been read to its end. */
  #isAtEnd(): boolean {
    if (this.#state !== 'finished' || this.#channel.direction !== 'out') return false;
    this.#parts.check();
    return true;
  }

  /** Raises at the end, as Psycopg does, if the statement was not the only one. */
  #checkAlone(): void {
    if (!this.#parts.alone) {
      throw this.#misuse("COPY can't be mixed with other statements: those behind it have not been executed");
    }
  }

  /** Gives the memory back. */
  #release(): void {
    this.#block = null;
    this.#writer = null;
  }

  #announce(tag: string | null): void {
    if (this.#announced) return;
    this.#announced = true;
    this.#parts.onEnd({ tag });
  }

  #oidOf(type: string | number): number {
    if (typeof type === 'number') {
      if (Number.isInteger(type) && type > 0 && type <= 0xffff_ffff) return type;
    } else if (typeof type === 'string') {
      const { adapters } = this.#parts;
      const oid = type.endsWith('[]') ? adapters.type(type.slice(0, -2))?.arrayOid : adapters.type(type)?.oid;
      if (oid !== undefined && oid !== 0) return oid;
      throw this.#misuse(`the type '${type}' is not known here; give its oid, or register the type first`);
    }
    throw this.#misuse(`expected setTypes() to get names or oids of types, got ${String(type)}`);
  }

  #misuse(message: string): Error {
    return new errors.ProgrammingError(message, { query: this.#parts.query });
  }
}

function describe(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : typeof value;
}
