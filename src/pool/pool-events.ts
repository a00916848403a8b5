import type { AsyncConnection } from '../connection/connection.js';
import {
  channels,
  type EvictMessage,
  type EvictReason,
  type ReconnectMessage,
  type RetryMessage,
  type ReturnMessage,
  type UncommittedMessage,
} from '../diagnostics.js';
import { thrownText } from '../errors/thrown.js';

/** Publishes a pool's events on diagnostics channels and as process warnings. */
export class PoolEvents<R> {
  readonly #pool: string;
  #warned = false;

  /** `pool` is the pool's name. */
  constructor(pool: string) {
    this.#pool = pool;
  }

  /** A connection was given back that had been lent out for so many seconds. */
  returned(backendPid: number, seconds: number): void {
    const message: ReturnMessage = { pool: this.#pool, backendPid, seconds };
    channels.return.publish(message);
  }

  /** A connection is about to be ended. */
  evicted(connection: AsyncConnection<R>, reason: EvictReason): void {
    if (!channels.evict.hasSubscribers) return;
    const message: EvictMessage = { pool: this.#pool, backendPid: connection.info.backendPid, reason };
    channels.evict.publish(message);
  }

  /** An attempt to connect has failed. The next one follows after `delay` seconds; null: after the next request. */
  reconnecting(error: unknown, delay: number | null): void {
    const message: ReconnectMessage = { pool: this.#pool, error, delay };
    channels.reconnect.publish(message);
  }

  /** A transaction has failed and will be repeated after `delay` seconds. */
  retrying(error: unknown, retry: number, delay: number): void {
    const message: RetryMessage = { pool: this.#pool, error, retry, delay };
    channels.retry.publish(message);
  }

  /** A connection was returned with uncommitted writes. */
  uncommitted(connection: AsyncConnection<R>): void {
    const message: UncommittedMessage = { pool: this.#pool, backendPid: connection.info.backendPid };
    channels.uncommitted.publish(message);
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning(
      `a connection came back to the pool '${this.#pool}' with writes that were not committed; they were rolled back.` +
        ' Leaving a scope never commits: await conn.commit() first, or use pool.withConnection()',
      { code: 'USINGPG_UNCOMMITTED' },
    );
  }

  /** The user's `reset` has failed. */
  resetFailed(error: unknown): void {
    process.emitWarning(
      `a connection of the pool '${this.#pool}' was discarded because \`reset\` failed: ${thrownText(error)}`,
      { code: 'USINGPG_RESET_FAILED' },
    );
  }

  /** The user's `reconnectFailed` has failed. */
  reconnectFailedFailed(error: unknown): void {
    process.emitWarning(`\`reconnectFailed\` of the pool '${this.#pool}' failed: ${thrownText(error)}`, {
      code: 'USINGPG_RECONNECT_FAILED',
    });
  }
}
