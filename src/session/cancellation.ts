import type { BackendKey } from '../wire/backend-messages.js';
import { sendCancelRequest } from '../wire/cancel-request.js';
import type { ServerAddress } from '../wire/socket.js';
import type { PendingStatement } from './statement.js';

/** How long the server may take to answer a cancel request, in seconds, before the session is given up. */
export const CANCEL_LIMIT = 5;

/** How long a request may have no effect before it is sent again, in seconds; each time twice as long. */
const PATIENCE = 0.1;

/** How long a server that is there takes at most to deal with a request, in seconds. */
const SIGN_OF_LIFE = 0.08;

/** The session, as far as its cancel requests go. */
export interface Cancelled {
  /** Whether nothing but the statement can be hit by a request. */
  isAlone(pending: PendingStatement): boolean;
  /** A request has been dealt with. */
  onDone(): void;
  /** The server does not answer in time. */
  giveUp(): void;
}

/**
 * The cancel requests of a session. While one is `underway` nothing may be sent, so that it can't hit another statement than
 * the one that is running.
 */
export class Cancellation {
  readonly #address: ServerAddress;
  readonly #session: Cancelled;
  readonly #requests = new Set<AbortController>();
  readonly #answers = new Map<PendingStatement, NodeJS.Timeout>();
  readonly #repetitions = new Map<PendingStatement, NodeJS.Timeout>();
  readonly #silence = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(address: ServerAddress, session: Cancelled) {
    this.#address = address;
    this.#session = session;
  }

  get underway(): boolean {
    return this.#requests.size > 0;
  }

  /**
   * Asks the server to cancel `pending`, which is running, again and again until it is answered: a request that arrives before its
   * statement does nothing. Resolves when the first one has been dealt with. There is one limit for the statement's answer,
   * however often it is cancelled, and one for each request, which late could hit a successor.
   */
  async request(pending: PendingStatement, key: BackendKey): Promise<void> {
    this.expectAnswer(pending);
    await this.#send(key);
    if (!pending.settled && !this.#stopped && !this.#repetitions.has(pending)) {
      this.#repeat(pending, key, PATIENCE);
    }
    this.#session.onDone();
  }

  /**
   * Calls `then` if the requests under way have not been dealt with after a while in which a server would have: who has lost interest
   * need not wait until the silence has lasted long enough for the session to be given up.
   */
  whenSilent(then: () => void): void {
    const requests = [...this.#requests];
    const timer = setTimeout(() => {
      this.#silence.delete(timer);
      if (requests.some((request) => this.#requests.has(request))) then();
    }, SIGN_OF_LIFE * 1000);
    this.#silence.add(timer);
  }

  #repeat(pending: PendingStatement, key: BackendKey, patience: number): void {
    const timer = setTimeout(() => {
      void (async () => {
        // Who has requests under way already needs no other.
        if (!this.underway && this.#session.isAlone(pending)) await this.#send(key);
        if (this.#repetitions.get(pending) === timer) this.#repeat(pending, key, 2 * patience);
        this.#session.onDone();
      })();
    }, patience * 1000);
    this.#repetitions.set(pending, timer);
  }

  async #send(key: BackendKey): Promise<void> {
    const request = new AbortController();
    const timer = setTimeout(() => {
      this.#session.giveUp();
    }, CANCEL_LIMIT * 1000);
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
    const timer = setTimeout(() => {
      this.#session.giveUp();
    }, CANCEL_LIMIT * 1000);
    this.#answers.set(pending, timer);
  }

  /** The statement has been answered. */
  answered(pending: PendingStatement): void {
    if (this.#answers.size === 0) return;
    clearTimeout(this.#answers.get(pending));
    this.#answers.delete(pending);
    clearTimeout(this.#repetitions.get(pending));
    this.#repetitions.delete(pending);
  }

  /** The session is over: so are its requests. */
  stop(): void {
    this.#stopped = true;
    for (const timer of [...this.#answers.values(), ...this.#repetitions.values(), ...this.#silence]) {
      clearTimeout(timer);
    }
    this.#answers.clear();
    this.#repetitions.clear();
    for (const request of this.#requests) request.abort(new Error('the session is closed'));
  }
}
