import { callersStack, keepStack } from '../errors/callers-stack.js';
import type { RowBatch } from '../session/exchange.js';
import type { RowStream } from '../session/row-stream.js';
import type { StatementResult } from '../session/statement.js';

/** Rows that have arrived together, and what makes of each what its reader gets. */
export interface StreamedBatch<R> {
  readonly rows: readonly unknown[];
  readonly make: (row: unknown) => R;
}

/** What a stream's rows come from. */
export interface StreamSource<R> {
  /** Sends the statement. What it throws is what the first row fails with; nothing has been begun then. */
  open(): RowStream;
  arrived(batch: RowBatch | StatementResult): StreamedBatch<R>;
  /** The statement has ended, well or not. Called once, if it has been sent. */
  ended(): void;
}

/** A statement that has its connection to itself. It does not refer to its reader, which may be gone. */
interface HeldStream<R> {
  rows: RowStream | null;
  readonly source: StreamSource<R>;
}

/** Ends streams that were neither read to their end nor left, once no code can do so any more. */
const forgottenStreams = new FinalizationRegistry<HeldStream<unknown>>((held) => {
  if (held.rows !== null) end(held).catch(() => undefined);
});

/** Ends a statement. Rejects if it was to be committed, and was not. */
async function end(held: HeldStream<unknown>): Promise<void> {
  const failure = await held.rows!.stop();
  held.rows = null;
  held.source.ended();
  if (failure !== null) throw failure;
}

const NOTHING: readonly unknown[] = [];

/**
 * The rows of a stream, one by one. To its reader it is what an async generator would be, also where calls overlap; but a row
 * that is there takes one promise, while each `yield` of a generator takes three turns of the microtasks. A stream
 * that is forgotten ends by itself.
 */
export class StreamedRows<R> implements AsyncGenerator<R, void, void> {
  static {
    // What a runtime gives to all async iterators, its generators have as well.
    const ofGenerators = Object.getPrototypeOf(async function* () {}.prototype) as object;
    Object.setPrototypeOf(this.prototype, Object.getPrototypeOf(ofGenerators) as object);
  }

  readonly #held: HeldStream<R>;
  #state: 'new' | 'open' | 'done' = 'new';
  #rows = NOTHING;
  #at = 0;
  #make: (row: unknown) => R = (row) => row as R;
  /** How many calls have not been answered, and when the last of them is. */
  #calls = 0;
  #last: Promise<void> | null = null;

  constructor(source: StreamSource<R>) {
    this.#held = { rows: null, source };
    forgottenStreams.register(this, this.#held);
  }

  /** The next row, once the calls before it have been answered. */
  async next(): Promise<IteratorResult<R, void>> {
    if (this.#calls > 0 || this.#at >= this.#rows.length) return this.#nextInTurn();
    let value: R;
    try {
      value = this.#make(this.#rows[this.#at++]);
    } catch (error) {
      return this.#inTurn(() => this.#fail(keepStack(error)));
    }
    // As in a generator, a row that is a promise is waited for.
    if (value instanceof Promise) return this.#inTurn(() => this.#awaited(value));
    return { done: false, value };
  }

  /** Ends the stream, and its statement, once the calls before it have been answered. Rejects if what it has changed can't be kept. */
  async return(value?: PromiseLike<void> | void): Promise<IteratorResult<R, void>> {
    try {
      await this.#inTurn(() => this.#end());
    } catch (error) {
      throw callersStack(error);
    }
    return { done: true, value: await value };
  }

  /** Ends the stream, and its statement, and rejects with `error`. */
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
        this.#state = 'done';
        this.#held.rows = this.#held.source.open();
        this.#state = 'open';
      }
      while (this.#at >= this.#rows.length) {
        this.#rows = NOTHING;
        const batch = await this.#held.rows!.next();
        if (batch === null) {
          await this.#end();
          return { done: true, value: undefined };
        }
        ({ rows: this.#rows, make: this.#make } = this.#held.source.arrived(batch));
        this.#at = 0;
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
