import { errors, type AsyncConnection } from '../../index.js';
import { Client, DETACH } from './client.js';
import type { Configuration } from './config.js';
import type { SessionState } from './session-state.js';
import { Statements } from './statements.js';

/** Takes back a connection; `error` says that it must not be used again. @internal */
export type TakeBack = (checkout: Checkout, error: unknown) => void;

/** A checkout of a pool: a connection with the statements that are executed on it until it is released. @internal */
export class Checkout extends Statements {
  /** Null if nobody would see it. */
  client: PoolClient | null = null;
  readonly #takeBack: TakeBack;

  constructor(
    configuration: Configuration,
    state: SessionState,
    connection: AsyncConnection,
    takeBack: TakeBack,
  ) {
    super(configuration, state, connection);
    this.#takeBack = takeBack;
  }

  /** Makes the client. */
  makeClient(): PoolClient {
    return (this.client = new PoolClient(this));
  }

  /** Ends the checkout; see `client.release()`. */
  release(error?: unknown): void {
    if (this.isReleased) {
      throw new errors.ProgrammingError(
        'Release called on client which has already been released to the pool.',
      );
    }
    this.#takeBack(this, error);
  }

  override leave(done: () => void): void {
    this.client?.[DETACH]();
    super.leave(done);
  }
}

/**
 * A client of a pool. Each checkout has an object of its own: after `release()` it raises `InterfaceError`, so that it cannot disturb the
 * next user of the connection.
 */
export class PoolClient extends Client {
  readonly #checkout: Checkout;

  /** @internal Use `pool.connect()`. */
  constructor(checkout: Checkout) {
    super(null, checkout);
    this.#checkout = checkout;
  }

  /**
   * Gives the connection back to the pool once the client's statements have ended; an open transaction is rolled back. With an error, or
   * true, the connection is closed. Raises `ProgrammingError` if the client was released before. A property, so that it may be called
   * without its client.
   */
  readonly release = (error?: unknown): void => {
    this.#checkout.release(error);
  };
}
