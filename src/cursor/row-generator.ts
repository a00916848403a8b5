/** Rows that have arrived together, and what makes of each the row that is given out. */
export interface MadeRows<R> {
  readonly rows: readonly unknown[];
  readonly make: (row: unknown) => R;
}

/**
 * The rows of batches one by one, as an `async function*` over them would give them, but a row that is there already costs one
 * promise, a third of what it takes there.
 */
export class RowGenerator<R> implements AsyncGenerator<R, void, void> {
  readonly #batches: AsyncGenerator<MadeRows<R>, void, void>;
  #batch: MadeRows<R> | null = null;
  #at = 0;
  /** The call that the next one is behind, as long as there is one. */
  #last: Promise<unknown> | null = null;

  constructor(batches: AsyncGenerator<MadeRows<R>, void, void>) {
    this.#batches = batches;
  }

  next(): Promise<IteratorResult<R, void>> {
    if (this.#last !== null) return this.#behind(() => this.#fetch());
    try {
      const row = this.#take();
      if (row !== null) return Promise.resolve(row);
    } catch (error) {
      return this.throw(error);
    }
    return this.#behind(() => this.#fetch());
  }

  return(value?: PromiseLike<void> | void): Promise<IteratorResult<R, void>> {
    return this.#behind(async () => {
      this.#batch = null;
      await this.#batches.return();
      return { done: true, value: await value };
    });
  }

  throw(error: unknown): Promise<IteratorResult<R, void>> {
    return this.#behind(() => this.#fail(error));
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

  /** The next row that is there; null if there is none. */
  #take(): IteratorYieldResult<R> | null {
    const batch = this.#batch;
    if (batch === null || this.#at >= batch.rows.length) return null;
    return { done: false, value: batch.make(batch.rows[this.#at++]) };
  }

  async #fetch(): Promise<IteratorResult<R, void>> {
    try {
      for (;;) {
        const row = this.#take();
        if (row !== null) return row;
        const { done, value } = await this.#batches.next();
        this.#batch = done === true ? null : value;
        this.#at = 0;
        if (done === true) return { done: true, value: undefined };
      }
    } catch (error) {
      // What fails here may be the making of a row, of which the batches know nothing.
      return this.#fail(error);
    }
  }

  /** Ends the batches, and rejects with `error`. */
  async #fail(error: unknown): Promise<IteratorResult<R, void>> {
    this.#batch = null;
    await this.#batches.throw(error);
    return { done: true, value: undefined };
  }

  /** Runs `act` when the calls before it have been answered. */
  #behind(act: () => Promise<IteratorResult<R, void>>): Promise<IteratorResult<R, void>> {
    const result = this.#last === null ? act() : this.#last.then(act, act);
    const over = (): void => {
      if (this.#last === result) this.#last = null;
    };
    this.#last = result;
    result.then(over, over);
    return result;
  }
}
