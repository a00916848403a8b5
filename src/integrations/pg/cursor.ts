import { EventEmitter } from 'node:events';
import { AsyncRawCursor, errors, type AsyncConnection, type CursorOptions } from '../../index.js';
import { promiseOr, type Callback } from './callbacks.js';
import { withServerFields } from './database-error.js';
import { fieldsOf, Result } from './result.js';
import type { SessionState } from './session-state.js';
import type { Statements } from './statements.js';
import { SUBMIT, type Submittable } from './submit.js';
import { makingOf, type CustomTypes } from './type-parsers.js';

/** Options of a cursor. */
export interface CursorConfig {
  /** 'array': rows are arrays of values, not objects. */
  rowMode?: string | undefined;
  /** The parsers of the values. */
  types?: CustomTypes | undefined;
}

/**
 * Reads the rows of a query in pieces: pg-cursor's interface. Other statements of the client wait until all rows are read, or the cursor
 * is closed.
 *
 * @example
 * import { Client, Cursor } from 'usingpg/pg';
 *
 * const client = new Client();
 * await client.connect();
 * const cursor = client.query(new Cursor<{ name: string }>('SELECT name FROM city WHERE country = $1', ['FR']));
 * for (let read; (read = await cursor.read(100)).length > 0;) console.log(read.map((city) => city.name));
 * await cursor.close();
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rows' type is known to the query only
export class Cursor<R = any> extends EventEmitter implements Submittable {
  /** The text of the query. */
  readonly text: string;
  /** The values of `$1`, `$2` …. */
  readonly values: readonly unknown[];
  readonly #config: CursorConfig;
  #cursor: AsyncRawCursor<R> | null = null;
  #rows: AsyncGenerator<R, void, void> | null = null;
  #result: Result<R>;
  /** The end of the statement, its turn included; null before it is submitted. */
  #running: Promise<void> | null = null;
  #isDone = false;
  #finish: (() => void) | null = null;
  /** The end of the last read. */
  #last: Promise<unknown>;
  #submitted: ((opened: Promise<void>) => void) | null = null;

  constructor(text: string, values?: readonly unknown[] | null, config?: CursorConfig | null) {
    super();
    this.text = text;
    this.values = values ?? [];
    this.#config = config ?? {};
    this.#result = new Result<R>(this.#config.rowMode);
    // Reads wait until the cursor is submitted and its columns are known.
    this.#last = new Promise<void>((resolve) => {
      this.#submitted = resolve;
    });
    // Without a read, nobody is told but by the event.
    this.#last.catch(() => undefined);
  }

  /** Begins the statement in its turn among those of the client. @internal */
  [SUBMIT](statements: Statements): void {
    if (this.#running !== null) {
      throw new errors.InterfaceError('the cursor was submitted before; make another for another execution');
    }
    const opened = new Promise<void>((resolve, reject) => {
      this.#running = statements
        .inTurn(async (connection, state) => {
          try {
            await this.#open(connection, state);
          } catch (error) {
            reject(withServerFields(error));
            return;
          }
          resolve();
          await new Promise<void>((finish) => {
            if (this.#isDone) finish();
            else this.#finish = finish;
          });
        }, this)
        .catch(reject);
    });
    this.#submitted!(opened);
    opened.catch((error: unknown) => {
      this.#failed(error);
    });
  }

  /** Refuses node-postgres's own client, for which this cursor is not made. */
  submit(): never {
    throw new errors.NotSupportedError(
      'a Cursor of usingpg/pg runs on a client of usingpg/pg: client.query(cursor)',
    );
  }

  async #open(connection: AsyncConnection, state: SessionState): Promise<void> {
    if (this.#isDone) return;
    const { rowMode, types } = this.#config;
    const cursor = new AsyncRawCursor<R>(
      connection,
      makingOf(types ?? state.types, rowMode === 'array') as CursorOptions<R>,
    );
    const rows = cursor.stream(this.text, this.values);
    this.#cursor = cursor;
    this.#rows = rows;
    await rows.open();
    this.#result.fields = fieldsOf(cursor.description ?? []);
  }

  /**
   * Reads up to `count` rows after all earlier reads; fewer at the end, then none. Without a count, or with 0, it reads all that are
   * left. A callback gets the rows and a `Result` with the columns. Rejects with the error of the statement.
   */
  read(count?: number): Promise<R[]>;
  read(count: number, callback: Callback<[rows: R[], result: Result<R>]>): void;
  read(count = 0, callback?: Callback<[rows: R[], result: Result<R>]>): Promise<R[]> | undefined {
    const reading = this.#last.then(() => this.#take(count));
    this.#last = reading;
    return promiseOr(reading, callback, (rows) => [rows, this.#result]);
  }

  async #take(count: number): Promise<R[]> {
    const taken: R[] = [];
    const most = count > 0 ? count : Infinity;
    try {
      while (taken.length < most && !this.#isDone) {
        const { done, value } = await this.#rows!.next();
        if (done === true) {
          await this.#end();
          break;
        }
        taken.push(value);
        if (this.listenerCount('row') > 0) this.emit('row', value, this.#result);
      }
    } catch (error) {
      const told = withServerFields(error);
      this.#failed(told);
      throw told;
    }
    this.#result.rows = taken;
    return taken;
  }

  /** Ends the statement; rows that were not read are dropped. */
  close(): Promise<void>;
  close(callback: Callback<[]>): void;
  close(callback?: Callback<[]>): Promise<void> | undefined {
    return promiseOr(this.#close(), callback, () => []);
  }

  async #close(): Promise<void> {
    if (this.#running === null || this.#isDone) return;
    await this.#rows?.return();
    await this.#end();
  }

  /** The statement has ended; the client's other statements go on. */
  async #end(): Promise<void> {
    if (this.#isDone) return;
    this.#isDone = true;
    const tag = this.#cursor?.statusmessage ?? null;
    if (tag !== null) this.#result.setTag(tag);
    this.#finish?.();
    await this.#running;
    this.emit('end', this.#result);
  }

  #failed(error: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#finish?.();
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}
