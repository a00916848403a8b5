import { AsyncLocalStorage } from 'node:async_hooks';
import * as errors from '../errors/index.js';
import type { ConnectionCore } from './connection-core.js';

const feedings = new AsyncLocalStorage<Feeding>();
const DONE = Promise.resolve({ done: true as const, value: undefined });

/**
 * The asynchronous source of an executemany() that has exclusive use of the connection, or may get it. A statement of the source
 * on that connection would wait for executemany(), which waits for the source. The asynchronous context identifies code that the
 * source runs.
 */
export class Feeding<T = unknown> implements AsyncIterable<T> {
  readonly #core: ConnectionCore;
  readonly #items: AsyncIterable<T>;
  readonly #outer = feedings.getStore();
  #isOver = false;

  constructor(core: ConnectionCore, items: AsyncIterable<T>) {
    this.#core = core;
    this.#items = items;
    core.feedings++;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    const within = <V>(act: () => V): V => feedings.run(this, act);
    const iterator = within(() => this.#items[Symbol.asyncIterator]());
    return {
      next: () => within(() => iterator.next()),
      return: () => within(() => iterator.return?.() ?? DONE),
    };
  }

  /** The connection is free again. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#core.feedings--;
  }

  /** Raises `ProgrammingError` within a source that feeds an executemany() of this connection. */
  static checkNone(core: ConnectionCore): void {
    for (let feeding = feedings.getStore(); feeding !== undefined; feeding = feeding.#outer) {
      if (feeding.#isOver || feeding.#core !== core) continue;
      throw new errors.ProgrammingError(
        "in autocommit the source of executemany() can't use its connection, which executemany() has to itself until all is stored;" +
          ' give the source another connection, or run both within conn.withTransaction()',
      );
    }
  }
}
