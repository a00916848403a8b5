import { AsyncLocalStorage } from 'node:async_hooks';
import * as errors from '../errors/index.js';
import type { Handle } from './handle.js';

const feedings = new AsyncLocalStorage<Feeding>();
/** How many there are: mostly none, and every use of a connection asks. */
let count = 0;

/**
 * That an asynchronous source feeds an executemany() which has the connection to itself: a statement of the source on that connection
 * would wait for executemany(), which waits for the source.
 */
export class Feeding {
  readonly #handle: Handle;
  readonly #outer = feedings.getStore();
  #isOver = false;

  constructor(handle: Handle) {
    this.#handle = handle;
    count++;
  }

  /** Has the source do something: it is known by its asynchronous context from here on. */
  run<T>(step: () => T): T {
    return feedings.run(this, step);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    count--;
  }

  /** Raises `ProgrammingError` within a source that feeds an executemany() of this connection. */
  static checkNone(handle: Handle): void {
    if (count === 0) return;
    for (let feeding = feedings.getStore(); feeding !== undefined; feeding = feeding.#outer) {
      if (feeding.#isOver || feeding.#handle !== handle) continue;
      throw new errors.ProgrammingError(
        "in autocommit the source of executemany() can't use its connection, which executemany() has to itself until all is stored;" +
          ' give the source another connection, or run both within conn.withTransaction()',
      );
    }
  }
}
