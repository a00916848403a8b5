import type { AsyncConnection } from '../connection/connection.js';
import { dropConnection } from '../connection/checkout.js';
import { connectTimeout } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { DEFAULT_CONNECT_TIMEOUT } from '../session/sign-in.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from './clock.js';
import { within } from './limits.js';

/** What a pool's user wants done with its connections. */
export interface CallbackOptions<R> {
  readonly configure?: Callback<R> | undefined;
  readonly check?: Callback<R> | undefined;
  readonly reset?: Callback<R> | undefined;
  /** How long `reset` may take, in seconds; 0 or Infinity: for ever. */
  readonly checkTimeout: number;
}

type Callback<R> = (connection: AsyncConnection<R>) => Promise<void> | void;

/** The callbacks of a pool's user, none of which may take for ever, or leave a transaction to the next who has the connection. */
export class Callbacks<R> {
  readonly #options: CallbackOptions<R>;
  /** Whether connections are to be cleaned up. */
  readonly resets: boolean;

  constructor(options: CallbackOptions<R>) {
    this.#options = options;
    this.resets = options.reset !== undefined;
  }

  /** Prepares a connection, unless the pool is closed meanwhile. What never ends must not keep the place of another. */
  async configure(connection: AsyncConnection<R>, signal: AbortSignal): Promise<void> {
    const { configure } = this.#options;
    if (configure === undefined) return;
    const given = connection.info.getParameters()['connect_timeout'];
    const seconds = connectTimeout(given) ?? DEFAULT_CONNECT_TIMEOUT;
    await within(Promise.resolve(configure(connection)), {
      clock: systemClock,
      seconds,
      late: () =>
        new errors.ConnectionTimeout(
          `\`configure\` was not done with a connection within ${String(seconds)} seconds (connect_timeout)`,
        ),
      signal,
    });
    checkLeft('configure', connection);
  }

  /** Asks whether a connection works; null: nobody asks. Whoever calls it keeps the time. */
  get check(): ((connection: AsyncConnection<R>) => Promise<void>) | null {
    const { check } = this.#options;
    if (check === undefined) return null;
    return async (connection) => {
      await check(connection);
      // Its borrower's transactions must be their own: a block within this one would be a savepoint, and go with it.
      if (connection.info.transactionStatus !== TransactionStatus.IDLE) await connection.rollback();
    };
  }

  /** Cleans a connection up, which somebody waits for: whoever gives it back. */
  async reset(connection: AsyncConnection<R>): Promise<void> {
    const { reset, checkTimeout } = this.#options;
    await within(Promise.resolve(reset?.(connection)), {
      clock: systemClock,
      seconds: checkTimeout === 0 ? Infinity : checkTimeout,
      late: () => {
        // What does not answer would not answer a goodbye.
        dropConnection(connection);
        return new errors.OperationalError(
          `it took longer than ${String(checkTimeout)} seconds (checkTimeout)`,
        );
      },
    });
    checkLeft('reset', connection);
  }
}

function checkLeft<R>(callback: string, connection: AsyncConnection<R>): void {
  const status = connection.info.transactionStatus;
  if (status === TransactionStatus.IDLE) return;
  throw new errors.ProgrammingError(
    `the connection was left in transaction status ${status} by \`${callback}\`, and is discarded; commit there, or roll back`,
  );
}
