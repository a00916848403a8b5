import type { Readable, Writable } from 'node:stream';
import type { AdaptersMap } from '../types/adapters-map.js';
import { callersStack, callSite, type CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { describeKind } from '../options/kinds.js';
import type { CopyChannel } from '../session/copy-channel.js';
import { BinaryRowReader, BinaryRowWriter } from './binary-rows.js';
import { Block, BLOCK } from './block.js';
import { copyReadable, copyWritable, type StreamedCopy } from './copy-streams.js';
import { isUint8Array } from '../types/realm.js';
import { writeUtf8 } from '../types/write-text.js';
import type { RowReader, RowWriter } from './row-format.js';
import { whyNotRows, whyNotTexts, whyNotTypes, type CopyOptions } from './statement-options.js';
import { TextRowReader, TextRowWriter } from './text-rows.js';

/** The parts that an `AsyncCopy` is made of. */
export interface CopyParts {
  readonly channel: CopyChannel;
  readonly adapters: AdaptersMap;
  /** The statement without values, for errors. */
  readonly query: string;
  /** What it says of the data; null if it can't be made out. */
  readonly options: CopyOptions | null;
  /** The session's client_encoding if it is not UTF8; else null. */
  readonly foreignEncoding: string | null;
  /** Whether the text contains no other statement. */
  readonly alone: boolean;
  /** Ends the COPY when it is aborted. */
  readonly signal: AbortSignal | undefined;
  /** Raises `InterfaceError` if the connection was returned to its pool. */
  check(): void;
  /** Whether the connection was returned or closed, rather than lost. */
  isConnectionLeft(): boolean;
  /** Calls `listener` once when the connection becomes unusable. Returns a function that removes the listener. */
  onConnectionEnd(listener: () => void): () => void;
  /** Called once when the COPY has ended, with its tag, such as `COPY 3`; null if it was not completed. */
  onEnd(tag: string | null): void;
}

/** From this size in bytes, a piece is sent without being gathered, which would copy it once more. */
const LARGE = BLOCK / 4;

const QUERY_CANCELED = '57014';
const DONE = Promise.resolve();
const NOTHING = Buffer.alloc(0);

/**
 * A running COPY, made by `cur.copy()` or `cur.withCopy()` (Psycopg: `AsyncCopy`). Data is transferred as bytes (`write()`,
 * `read()`, iteration, Node streams) or as rows (`writeRow()`, `readRow()`, `rows()`).
 *
 * Only `finish()` completes a COPY … FROM STDIN: leaving the scope without it aborts the COPY, and nothing is stored. Leaving a
 * COPY … TO STDOUT before its end cancels it. In both cases the connection is usable afterwards. Until then the COPY has
 * exclusive use of the connection, which refuses other statements.
 *
 * A server error rejects the current call, with its SQLSTATE and, in `diag.context`, the line of the data. Wrong use (writing to
 * a COPY TO, reading from a COPY FROM, any call after the end) raises `OperationalError`, as in Psycopg.
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
  /** The error that it failed with, or the reason of its abort. */
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
    this.#noTexts = whyNotTexts(parts.options, parts.foreignEncoding);
    this.#noRows = this.#noTexts ?? (parts.channel.binary ? null : whyNotRows(parts.options));
  }

  /** Whether the COPY has ended, with success or without. @internal */
  get ended(): boolean {
    return this.#channel.ended || this.#announced;
  }

  // --- COPY … FROM STDIN

  /**
   * Writes data in the format of the COPY, split anywhere; a string is sent as UTF-8 (Psycopg: `write()`). Small pieces are
   * gathered into blocks. Large pieces are not copied, so do not change their bytes until the promise resolves, which is when
   * more may be written. Raises `ProgrammingError` for a string in the binary format, and `DataError` for a string that
   * PostgreSQL cannot store.
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
          writeUtf8(data, block, 'write()');
        } catch (error) {
          block.length = start;
          throw error;
        }
      } else if (isUint8Array(data)) {
        if (this.#channel.binary && data.length > 0) this.#rowWriter().passed?.();
        if (data.length >= LARGE) return this.#send(data);
        block.append(data);
      } else {
        throw this.#misuse(`expected write() to get a string or a Uint8Array, got ${describeKind(data)}`);
      }
      return block.length >= BLOCK ? this.#send(null) : DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes a row in the format of the COPY (Psycopg: `write_row()`). Resolves when more may be written. The binary format
   * requires values of exactly the columns' types: set these with `setTypes()`. Raises `DataError`, which names row and column,
   * for a value that cannot be sent, and `BadCopyFileFormat` for a wrong number of values; the row is omitted, and writing may
   * continue. Raises `ProgrammingError` if the COPY is in csv format, or has a delimiter, NULL or encoding other than the
   * defaults of the text format.
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
   * Sets the types of the columns, by name (`int4`, `timestamptz[]`) or oid (Psycopg: `set_types()`). Written rows are encoded as
   * these types, which the binary format requires. Read rows are loaded as these types; without them, values are strings or, in
   * the binary format, bytes. Data that is no value of its type raises `DataError`. A `json` or `jsonb` column takes any value as
   * if it were wrapped; a composite or hstore column takes plain objects. Raises `ProgrammingError` for an unknown name (see
   * `TypeInfo`), and `NotSupportedError` for a type whose binary format the library does not know: geometric types, money,
   * tsvector and other rare ones, unless `adapters.registerCodec()` adds it. A wrong number of types raises `DataError` (writing)
   * or `ProgrammingError` (reading).
   */
  setTypes(types: readonly (string | number)[]): void {
    const { adapters, query } = this.#parts;
    this.#parts.check();
    const { direction, columns } = this.#channel;
    if (this.#noRows !== null) throw this.#misuse(this.#noRows);
    if (!Array.isArray(types))
      throw this.#misuse(`expected setTypes() to get an array, got ${describeKind(types)}`);
    const problem = direction === 'out' ? whyNotTypes(this.#parts.options) : null;
    if (problem !== null) throw this.#misuse(problem);
    if (types.length !== columns) {
      const message = `setTypes() got ${String(types.length)} types, but the COPY has ${String(columns)} columns`;
      throw direction === 'in'
        ? new errors.DataError(message, { query })
        : new errors.ProgrammingError(message, { query });
    }
    const oids = types.map((type: string | number) => adapters.oidOf(type, query));
    if (direction === 'in') this.#rowWriter().setTypes(oids);
    else this.#rowReader().setTypes(oids);
  }

  /**
   * Completes a COPY … FROM STDIN (Psycopg: the end of the block): the data is stored when the transaction commits. Sets the
   * cursor's `rowcount` and `statusmessage`. Rejects with the server's error. Further calls do nothing.
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

  /** Ends the COPY like a block that ends without an error. @internal */
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
      if (this.#channel.binary) this.#rowWriter().end?.();
      // Sent data is in transit whether or not the network has taken it; the server's answer is awaited below.
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
   * Returns the next piece of data, one or more whole rows in the format of the COPY; empty at the end, when the cursor's
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
      // The row reader must know that the header has passed.
      const reader = this.#rowReader();
      reader.feed(piece);
      reader.rest();
    }
    return piece;
  }

  /** Iterates over the pieces of data, as `read()` returns them. Leaving the loop does not end the COPY. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return {
      next: async () => {
        const piece = await this.read();
        return piece.length === 0 ? { done: true, value: undefined } : { done: false, value: piece };
      },
    };
  }

  /**
   * Returns the next row; null at the end, when the cursor's `rowcount` is set (Psycopg: `read_row()`). Values are strings, or
   * bytes in the binary format, unless `setTypes()` has set their types. Raises `DataError`, which names row and column, for a
   * value that cannot be loaded; the next call continues with the next row. Raises `ProgrammingError` under the same conditions
   * as `writeRow()`.
   */
  async readRow(): Promise<unknown[] | null> {
    return this.#isAtEnd() ? null : (this.#rowAtHand() ?? this.#nextRow());
  }

  /** Returns the next row; null if its data has not arrived. */
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

  /** Iterates over the rows, as `readRow()` returns them (Psycopg: `rows()`). Leaving the loop does not end the COPY. */
  rows(): AsyncIterableIterator<unknown[]> {
    const iterator: AsyncIterableIterator<unknown[]> = {
      // Not an async function: the promises of one per row would take as long as a column.
      next: () => {
        try {
          const row = this.#isAtEnd() ? null : this.#rowAtHand();
          if (row !== null) return Promise.resolve({ done: false as const, value: row });
        } catch (error) {
          return Promise.reject(error);
        }
        return this.readRow().then((row) =>
          row === null ? { done: true, value: undefined } : { done: false, value: row },
        );
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  // --- both directions

  /**
   * Ends the COPY early. A COPY … FROM STDIN fails on the server with `reason` and stores nothing, which also fails its
   * transaction. A COPY … TO STDOUT is cancelled. Resolves when the connection is usable again, or has been closed. Does nothing
   * if the COPY has ended.
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
    // A call may be waiting for the end of the COPY; it gets its error first.
    await this.#finishing?.catch(() => undefined);
    this.#writable?.destroy();
    this.#readable?.destroy();
    // The server may have sent all data of a COPY TO although it was not read to its end.
    this.#announce(this.#channel.direction === 'out' ? this.#channel.tag : null);
  }

  /** Aborts an unfinished COPY at the end of a scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.abort('the scope of the COPY was left before finish()');
  }

  /**
   * The COPY … FROM STDIN as a stream, for `pipeline()` of `node:stream/promises`. Its end calls `finish()`; if it is destroyed
   * or its source fails, the COPY is aborted. If the COPY fails or the connection is lost, the stream is destroyed at once with
   * that error. If the COPY is aborted, or its scope, block, cursor or connection is left, the stream is destroyed without an
   * 'error' event. The reason of an aborted `signal` is emitted only if there is a listener for 'error', such as `pipeline()`
   * adds.
   *
   * @example
   * await pipeline(createReadStream('city.csv'), copy.writable());
   */
  writable(): Writable {
    this.#check('in', 'writable()');
    return (this.#writable ??= this.#streamed(copyWritable, callSite(AsyncCopy.prototype, 'writable')));
  }

  /**
   * The COPY … TO STDOUT as a stream, for `pipeline()` of `node:stream/promises`. It reads from the server only as fast as its
   * consumer. If it is destroyed or its consumer fails, the COPY is cancelled. If the COPY ends before, it is destroyed like the
   * stream of `writable()`.
   *
   * @example
   * await pipeline(copy.readable(), createGzip(), createWriteStream('city.csv.gz'));
   */
  readable(): Readable {
    this.#check('out', 'readable()');
    return (this.#readable ??= this.#streamed(copyReadable, callSite(AsyncCopy.prototype, 'readable')));
  }

  // --- internals

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
    // The server may have sent all data of a COPY … TO, so that the session does not end it.
    const off = this.#parts.onConnectionEnd(() => {
      if (this.#parts.isConnectionLeft()) void this.abort('the connection was closed, or given back');
    });
    stream.once('close', off);
    return stream;
  }

  /** Raises an error unless the COPY has this direction and has not ended. */
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

  /** Sends the gathered data. */
  #flush(): Promise<void> | null {
    const block = this.#block;
    if (block === null || block.length === 0) return null;
    const wait = this.#channel.write(block.written());
    if (wait === null) block.clear();
    else block.handOver();
    return wait;
  }

  /** Sends the gathered data, followed by a large piece without copying it. */
  #send(large: Uint8Array | null): Promise<void> {
    try {
      let wait = this.#flush();
      if (large !== null) {
        // The second wait includes the first.
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

  /** As in Psycopg, raises an error at the end if the text contained further statements. */
  #checkAlone(): void {
    if (!this.#parts.alone) {
      throw this.#misuse("COPY can't be mixed with other statements: those behind it have not been executed");
    }
  }

  /** Releases the memory. */
  #release(): void {
    this.#block = null;
    this.#writer = null;
  }

  #announce(tag: string | null): void {
    if (this.#announced) return;
    this.#announced = true;
    this.#parts.onEnd(tag);
  }

  #misuse(message: string): Error {
    return new errors.ProgrammingError(message, { query: this.#parts.query });
  }
}
