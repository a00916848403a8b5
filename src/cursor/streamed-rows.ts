import { callersStack, keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { RowBatch } from '../session/exchange.js';
import type { RowStream } from '../session/row-stream.js';
import type { StatementResult } from '../session/statement.js';

/** Rows that arrived together, and the function that converts each for its reader. */
export interface StreamedBatch<R> {
  readonly rows: readonly unknown[];
  readonly make: (row: unknown) => R;
}

/** The rows of `cursor.stream()`: an async generator, whose statement can be sent before the first row is requested. */
export interface RowGenerator<R> extends AsyncGenerator<R, void, void> {
  /**
   * Sends the statement and resolves when its first rows have arrived, or its end: the cursor's `description` is set then, even
   * if there are no rows. A statement that returns none is complete: `description` is null, `statusmessage` and `rowcount` are its
   * own, and the generator yields nothing. Further calls have the same outcome. Rejects with the statement's error, with the
   * reason of the stream's `signal`, or with `InterfaceError` if the stream was left before it was opened. A stream that was
   * opened has exclusive use of the connection until it is read to its end, or left by `return()` or the end of its scope.
   *
   * @example
   * await using rows = cur.stream('SELECT id, name FROM city');
   * await rows.open();
   * console.log(cur.description?.map(({ name }) => name));   // [ 'id', 'name' ]
   */
  open(): Promise<void>;
}

/** The source of a stream's rows. */
export interface StreamSource<R> {
  /** Sends the statement. If it throws, the first row rejects with the error, and nothing has begun. */
  open(): RowStream;
  /** The first rows or the end have arrived, for a caller of `RowGenerator.open()`. */
  opened(batch: RowBatch | StatementResult): void;
  /** Returns the rows of a batch; null if the statement returns none. */
  arrived(batch: RowBatch | StatementResult): StreamedBatch<R> | null;
  /** The error of a statement that returns no rows where they were expected. */
  rowless(): Error;
  /** Called once the statement has ended, with success or without, if it was sent. */
  ended(): void;
}

/** A statement that has exclusive use of its connection. It does not refer to its reader, which may have been garbage-collected. */
interface HeldStream<R> {
  rows: RowStream | null;
  readonly source: StreamSource<R>;
}

/** Ends streams that were neither finished nor left before their reader was garbage-collected. */
const forgottenStreams = new FinalizationRegistry<HeldStream<unknown>>((held) => {
  if (held.rows !== null) end(held).catch(() => undefined);
});

/** Ends a statement. Rejects if its commit failed. */
async function end(held: HeldStream<unknown>): Promise<void> {
  const failure = await held.rows!.stop();
  held.rows = null;
  held.source.ended();
  if (failure !== null) throw failure;
}

const NOTHING: readonly unknown[] = [];

/**
 * The rows of a stream, one by one. It behaves like an async generator, even for overlapping calls. But a row that has arrived
 * takes one promise, whereas each `yield` of a generator takes three turns of the microtask queue. A stream that is
 * garbage-collected ends by itself.
 */
export class StreamedRows<R> implements RowGenerator<R> {
  static {
    // Inherits everything that the runtime gives to async iterators.
    const ofGenerators = Object.getPrototypeOf(async function* () {}.prototype) as object;
    Object.setPrototypeOf(this.prototype, Object.getPrototypeOf(ofGenerators) as object);
  }

  readonly #held: HeldStream<R>;
  #state: 'new' | 'open' | 'done' = 'new';
  /** The arrival of the first batch. */
  #opening: Promise<void> | null = null;
  #isRowless = false;
  #rows = NOTHING;
  #at = 0;
  #make: (row: unknown) => R = (row) => row as R;
  /** The number of unanswered calls, and the end of the last one. */
  #calls = 0;
  #last: Promise<void> | null = null;

  constructor(source: StreamSource<R>) {
    this.#held = { rows: null, source };
    forgottenStreams.register(this, this.#held);
  }

  async open(): Promise<void> {
    try {
      await this.#inTurn(() => this.#openFirst());
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Returns the next row after all earlier calls. */
  async next(): Promise<IteratorResult<R, void>> {
    if (this.#calls > 0 || this.#at >= this.#rows.length) return this.#nextInTurn();
    let value: R;
    try {
      value = this.#make(this.#rows[this.#at++]);
    } catch (error) {
      return this.#inTurn(() => this.#fail(keepStack(error)));
    }
    // As in a generator, a row that is a promise is awaited.
    if (value instanceof Promise) return this.#inTurn(() => this.#awaited(value));
    return { done: false, value };
  }

  /** Ends the stream and its statement after all earlier calls. Rejects if the statement's changes could not be committed. */
  async return(value?: PromiseLike<void> | void): Promise<IteratorResult<R, void>> {
    try {
      await this.#inTurn(() => this.#end());
    } catch (error) {
      throw callersStack(error);
    }
    return { done: true, value: await value };
  }

  /** Ends the stream and its statement, and rejects with `error`. */
  throw(error: unknown): Promise<IteratorResult<R, void>> {
    return this.#inTurn(() => this.#fail(error));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  get [Symbol.toStringTag](): string {
    return 'AsyncGenerator';
  }

  async #nextInTurn(): Promise<IteratorResult<R, void>> {
    try {
      return await this.#inTurn(() => this.#advance());
    } catch (error) {
      throw callersStack(error);
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const isFirst = this.#calls++ === 0;
    const answer = isFirst ? act() : this.#last!.then(act);
    const answered = (): void => {
      this.#calls--;
    };
    this.#last = answer.then(answered, answered);
    return answer;
  }

  async #advance(): Promise<IteratorResult<R, void>> {
    if (this.#state === 'done') return { done: true, value: undefined };
    try {
      if (this.#state === 'new') {
        await (this.#opening = this.#firstBatch(false));
        if (this.#isRowless) throw this.#held.source.rowless();
      }
      while (this.#at >= this.#rows.length) {
        this.#rows = NOTHING;
        const batch = await this.#held.rows!.next();
        if (batch === null) {
          await this.#end();
          return { done: true, value: undefined };
        }
        this.#take(batch);
      }
    } catch (error) {
      return this.#fail(error);
    }
    try {
      return { done: false, value: await this.#make(this.#rows[this.#at++]) };
    } catch (error) {
      return this.#fail(keepStack(error));
    }
  }

  async #openFirst(): Promise<void> {
    if (this.#opening !== null) {
      await this.#opening;
      return;
    }
    if (this.#state === 'done') {
      throw new errors.InterfaceError('the stream was left before it was opened; make another with stream()');
    }
    try {
      await (this.#opening = this.#firstBatch(true));
      if (this.#isRowless) await this.#end();
    } catch (error) {
      await this.#fail(error);
    }
  }

  /** Sends the statement and takes its first batch. `tells`: the cursor shows its columns, or what a statement without rows did. */
  async #firstBatch(tells: boolean): Promise<void> {
    const { source } = this.#held;
    this.#state = 'done';
    const rows = (this.#held.rows = source.open());
    this.#state = 'open';
    const batch = await rows.next();
    if (tells && batch !== null) source.opened(batch);
    this.#take(batch);
  }

  #take(batch: RowBatch | StatementResult | null): void {
    const streamed = batch === null ? null : this.#held.source.arrived(batch);
    this.#isRowless = streamed === null;
    if (streamed !== null) ({ rows: this.#rows, make: this.#make } = streamed);
    this.#at = 0;
  }

  async #awaited(row: Promise<unknown>): Promise<IteratorResult<R, void>> {
    try {
      return { done: false, value: (await row) as R };
    } catch (error) {
      return this.#fail(keepStack(error));
    }
  }

  async #fail(error: unknown): Promise<never> {
    await this.#end().catch(() => undefined);
    throw error;
  }

  async #end(): Promise<void> {
    const isOpen = this.#state === 'open';
    this.#state = 'done';
    this.#rows = NOTHING;
    this.#at = 0;
    if (isOpen) await end(this.#held);
  }
}

/** Refuses what is no number of rows to be fetched at a time. */
export function checkStreamSize(size: unknown): void {
  if (Number.isInteger(size) && (size as number) > 0) return;
  throw new errors.ProgrammingError(
    `expected the size of stream() to be a positive number, got ${String(size)}`,
  );
}
