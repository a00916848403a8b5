import type { BackendKey } from '../wire/backend-messages.js';
import { sendCancelRequest } from '../wire/cancel-request.js';
import type { ServerAddress } from '../wire/socket.js';
import type { PendingStatement } from './statement.js';

/** How long the server may take to answer a cancel request, in seconds, before the session is given up. */
export const CANCEL_LIMIT = 5;

/**
 * The cancel requests of a session. While one is `underway` nothing may be sent, so that it can't hit another statement than
 * the one that is running.
 */
export class Cancellation {
  readonly #address: ServerAddress;
  readonly #giveUp: () => void;
  readonly #requests = new Set<AbortController>();
  readonly #answers = new Map<PendingStatement, NodeJS.Timeout>();

  /** `giveUp` is called when the server does not answer in time. */
  constructor(address: ServerAddress, giveUp: () => void) {
    this.#address = address;
    this.#giveUp = giveUp;
  }

  get underway(): boolean {
    return this.#requests.size > 0;
  }

  /**
   * Asks the server to cancel `pending`, which is running. Resolves when the request has been dealt with. There is one limit for
   * the statement's answer, however often it is cancelled, and one for each request, which late could hit a successor.
   */
  async request(pending: PendingStatement, key: BackendKey): Promise<void> {
    this.expectAnswer(pending);
    const request = new AbortController();
    const timer = setTimeout(this.#giveUp, CANCEL_LIMIT * 1000);
    this.#requests.add(request);
    try {
      await sendCancelRequest(this.#address, key, request.signal);
    } catch {
      // Not delivered: the statement may still end by itself before the limit.
    }
    clearTimeout(timer);
    this.#requests.delete(request);
  }

  /** `pending` has been asked to end: there is a limit for its answer. */
  expectAnswer(pending: PendingStatement): void {
    if (pending.settled || this.#answers.has(pending)) return;
    this.#answers.set(pending, setTimeout(this.#giveUp, CANCEL_LIMIT * 1000));
  }

  /** The statement has been answered. */
  answered(pending: PendingStatement): void {
    if (this.#answers.size === 0) return;
    clearTimeout(this.#answers.get(pending));
    this.#answers.delete(pending);
  }

  /** The session is over: so are its requests. */
  stop(): void {
    for (const timer of this.#answers.values()) clearTimeout(timer);
    this.#answers.clear();
    for (const request of this.#requests) request.abort(new Error('the session is closed'));
  }
}
