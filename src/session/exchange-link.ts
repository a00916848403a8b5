import type { Cancellation } from './cancellation.js';
import type { ExchangeMessages } from './exchange.js';
import type { ExtendedQuery } from './extended-query.js';
import type { TimeLimits } from './limits.js';
import type { StatementReply } from './reply.js';
import type { Transport } from './transport.js';

/** The messages of the exchange that a statement's reply belongs to. @internal */
export class ExchangeLink implements ExchangeMessages {
  readonly inTransaction: boolean;
  readonly #reply: StatementReply;
  readonly #transport: Transport;
  readonly #extended: ExtendedQuery;
  readonly #cancellation: Cancellation;

  constructor(
    reply: StatementReply,
    inTransaction: boolean,
    transport: Transport,
    extended: ExtendedQuery,
    cancellation: Cancellation,
  ) {
    this.#reply = reply;
    this.inTransaction = inTransaction;
    this.#transport = transport;
    this.#extended = extended;
    this.#cancellation = cancellation;
  }

  get limits(): TimeLimits {
    return this.#transport.limits;
  }

  copyData(data: Uint8Array, written: () => void): boolean {
    return this.#extended.copyData(data, written);
  }

  copyDone(): void {
    if (this.#mayWrite) this.#extended.endCopy(this.#reply, null);
  }

  copyFail(reason: string): void {
    if (this.#mayWrite) this.#extended.endCopy(this.#reply, reason);
  }

  fetch(rows: number): void {
    if (!this.#mayWrite) return;
    this.#reply.suspended = false;
    this.#extended.fetch(rows);
  }

  closePortal(): void {
    if (this.#mayWrite) this.#extended.closePortal(this.#reply);
  }

  cancel(): void {
    if (this.#isOpen) this.#cancellation.want(this.#reply);
  }

  expectEnd(): void {
    if (this.#isOpen) this.#cancellation.expectAnswer(this.#reply);
  }

  pause(): void {
    this.#transport.pause();
  }
  resume(): void {
    this.#transport.resume();
  }

  get #isOpen(): boolean {
    return !this.#reply.entry.settled && this.#transport.phase !== 'closed';
  }

  /**
   * Whether messages may still be written. After the Sync, the server's answer would be taken for that of the next statement. In
   * the simple protocol, the statement's own end acts as a Sync.
   */
  get #mayWrite(): boolean {
    return this.#isOpen && (this.#reply.protocol === 'simple' || !this.#reply.synced);
  }
}
