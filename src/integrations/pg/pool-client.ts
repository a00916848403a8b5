import { errors, type AsyncConnection } from '../../index.js';
import { Client, type Checkout } from './client.js';

/** Takes back a client's connection; `error` says that it must not be used again. @internal */
export type TakeBack = (client: PoolClient, connection: AsyncConnection, error: unknown) => void;

/**
 * A client of a pool. Each checkout has an object of its own: after `release()` it raises `InterfaceError`, so that it cannot disturb the
 * next user of the connection.
 */
export class PoolClient extends Client {
  readonly #connection: AsyncConnection;
  readonly #takeBack: TakeBack;
  #isReleased = false;

  /** @internal Use `pool.connect()`. */
  constructor(checkout: Checkout, takeBack: TakeBack) {
    super(null, checkout);
    this.#connection = checkout.connection;
    this.#takeBack = takeBack;
  }

  /**
   * Gives the connection back to the pool once the client's statements have ended; an open transaction is rolled back. With an error, or
   * true, the connection is closed. Raises `ProgrammingError` if the client was released before. A property, so that it may be called
   * without its client.
   */
  readonly release = (error?: unknown): void => {
    if (this.#isReleased) {
      throw new errors.ProgrammingError(
        'Release called on client which has already been released to the pool.',
      );
    }
    this.#isReleased = true;
    this.#takeBack(this, this.#connection, error);
  };
}
