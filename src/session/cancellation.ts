import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { locate } from '../errors/location.js';
import { sendCancelRequest } from '../wire/cancel-request.js';
import type { InFlight, Reply } from './reply.js';
import { connectionError, type Transport } from './transport.js';

const A_CANCEL_REQUEST = 'a cancel request';

/** A caller that waits until the request to cancel `reply` is finished. */
interface Waiter {
  readonly reply: Reply;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The state machine of a session's cancel requests: idle, waiting (a statement in flight may have to be cancelled later),
 * requested (nothing may be sent until the server has handled the request), or awaiting the statement's answer. A cancel request
 * needs a connection of its own, and at most one is open at a time; other statements to be cancelled wait for their turn. A
 * request hits whatever the server is running at that moment. Therefore it is made only for the statement that is being answered,
 * and only if everything sent after it is also to be cancelled, or would be skipped.
 */
export class Cancellation {
  readonly #transport: Transport;
  readonly #inFlight: InFlight;
  readonly #onDealtWith: () => void;
  /** Changed only by this class. A field instead of a getter, since each statement and each answer reads it. */
  state: 'idle' | 'waiting' | 'requested' | 'awaiting answer' = 'idle';
  /** The reply that the last request was made for, until it is answered. */
  #target: Reply | null = null;
  /** The reply that must arrive before a moment of `performance.now()`, since `message` was sent. */
  #deadline: { readonly reply: Reply; readonly message: string; readonly at: number } | null = null;
  /** Fires when a deadline may have passed. It is not cleared with the deadline, since the next one then need not set a timer. */
  #watch: NodeJS.Timeout | null = null;
  #repetition: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #patience = 0;
  #request: AbortController | null = null;
  #waiters: Waiter[] = [];
  #stopped = false;

  /** `onDealtWith` is called when the server has handled a request. */
  constructor(transport: Transport, inFlight: InFlight, onDealtWith: () => void) {
    this.#transport = transport;
    this.#inFlight = inFlight;
    this.#onDealtWith = onDealtWith;
  }

  /** Cancels a statement in flight as soon as the request cannot hit another one. */
  want(reply: Reply): void {
    reply.cancelWanted = true;
    this.advance();
  }

  /**
   * Cancels a statement even if others were sent after it. Resolves when the request is finished. Rejects if it could not be
   * delivered: then it is not repeated, unless the statement's own caller has given up.
   */
  wantNow(reply: Reply): Promise<void> {
    if (reply.kind === 'statement') reply.cancelAnyway = true;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ reply, resolve, reject });
      this.want(reply);
    });
  }

  /**
   * Makes the next request, if one is due. Called whenever the server begins to answer another statement, unless the state is
   * idle.
   */
  advance(): void {
    if (this.state === 'requested' || this.#stopped) return;
    const { head } = this.#inFlight;
    if (this.#target !== null && head === this.#target) return;
    this.#target = null;
    this.state = head === undefined ? 'idle' : 'waiting';
    this.#clearRepetition();
    if (head?.cancelWanted !== true || !this.#isSafe(head)) return;
    this.#target = head;
    this.#patience = this.#transport.limits.cancelAgain;
    this.#make(head);
  }

  #isSafe(head: Reply): boolean {
    if (head.kind === 'statement' && head.cancelAnyway) return true;
    for (const reply of this.#inFlight) {
      const isHit = reply.cancelWanted || (reply.segment !== null && reply.segment === head.segment);
      if (!isHit) return false;
    }
    return true;
  }

  #make(reply: Reply): void {
    this.state = 'requested';
    this.expectAnswer(reply);
    const { limits, address, key } = this.#transport;
    const request = new AbortController();
    this.#request = request;
    // A late request could hit the next statement.
    const limit = setTimeout(() => {
      this.#giveUp(A_CANCEL_REQUEST);
    }, limits.ending * 1000);
    this.#silence = setTimeout(() => {
      if (reply.kind === 'statement') reply.onSilence?.();
    }, limits.signOfLife * 1000);
    const dealtWith = (failure: Error | null): void => {
      clearTimeout(limit);
      clearTimeout(this.#silence!);
      this.#request = null;
      this.#onceDealtWith(reply, failure);
    };
    sendCancelRequest(address, key, request.signal).then(() => {
      dealtWith(null);
    }, dealtWith);
  }

  /** `failure`: the request was not delivered; the statement may still end by itself before the limit. */
  #onceDealtWith(reply: Reply, failure: Error | null): void {
    this.state = 'awaiting answer';
    if (this.#stopped) return;
    if (failure !== null) this.#refuseWaiters(reply, failure);
    for (const other of this.#inFlight) if (other !== reply) other.mayBeHit = true;
    if (this.#inFlight.head === reply && reply.cancelWanted) this.#repeatLater(reply);
    this.#tellWaiters();
    this.advance();
    this.#onDealtWith();
  }

  /** A request that arrives before its statement does nothing, so it is repeated while there is no answer. */
  #repeatLater(reply: Reply): void {
    const patience = this.#patience;
    this.#patience = 2 * patience;
    this.#repetition = setTimeout(() => {
      if (this.#inFlight.head !== reply) return;
      if (this.#isSafe(reply)) this.#make(reply);
      else this.#repeatLater(reply);
    }, patience * 1000);
  }

  /** Sets a limit for the answer to a statement that ends something, or was told to end by `message`. */
  expectAnswer(reply: Reply, message = A_CANCEL_REQUEST): void {
    if (this.#stopped || this.#deadline?.reply === reply) return;
    if (this.state === 'idle') this.state = 'waiting';
    const limit = this.#transport.limits.ending * 1000;
    this.#deadline = { reply, message, at: performance.now() + limit };
    if (this.#watch === null) this.#lookIn(limit);
  }

  #lookIn(milliseconds: number): void {
    // The socket keeps the process alive while an answer is pending.
    this.#watch = setTimeout(() => {
      // After a late turn of the event loop, an answer that has arrived is read first.
      setImmediate(() => {
        this.#look();
      });
    }, milliseconds).unref();
  }

  #look(): void {
    this.#watch = null;
    if (this.#stopped || this.#deadline === null) return;
    const { message, at } = this.#deadline;
    const left = at - performance.now();
    if (left > 0) this.#lookIn(left);
    else this.#giveUp(message);
  }

  /** Handles a reply that was answered and is no longer in flight. Called unless the state is idle. */
  answered(reply: Reply): void {
    if (this.#deadline?.reply === reply) this.#deadline = null;
    if (this.#target === reply) {
      this.#clearRepetition();
      if (this.state !== 'requested') this.#target = null;
    }
    if (this.#waiters.length > 0) this.#tellWaiters();
  }

  /** Resolves the waiters whose reply has been answered, or whose request is over. */
  #tellWaiters(): void {
    if (this.state === 'requested') return;
    const waiters = this.#waiters;
    this.#waiters = [];
    const inFlight = new Set(this.#inFlight);
    for (const waiter of waiters) {
      if (inFlight.has(waiter.reply) && waiter.reply !== this.#target) this.#waiters.push(waiter);
      else waiter.resolve();
    }
  }

  /**
   * Rejects the waits for the request of `reply`, which was not delivered. A statement that its own caller has not given up goes on,
   * without a limit, as if nothing had been requested.
   */
  #refuseWaiters(reply: Reply, failure: Error): void {
    const refused = this.#waiters.filter((waiter) => waiter.reply === reply);
    if (refused.length === 0 || this.#inFlight.head !== reply) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.reply !== reply);
    if (reply.kind === 'statement' && reply.entry.abandoned === null) {
      reply.cancelWanted = false;
      reply.cancelAnyway = false;
      this.#target = null;
      if (this.#deadline?.message === A_CANCEL_REQUEST) this.#deadline = null;
    }
    for (const { reject } of refused) {
      const error = connectionError(`the cancel request could not be delivered: ${failure.message}`, failure);
      locate(error, this.#transport.location);
      reject(error);
    }
  }

  #giveUp(message: string): void {
    this.#transport.giveUp(
      connectionError(
        `the server did not answer ${message} within ${String(this.#transport.limits.ending)} seconds; the connection is closed`,
      ),
    );
  }

  /** Ends the requests of a session that is over. */
  stop(): void {
    this.#stopped = true;
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#clearRepetition();
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#request?.abort(new Error('the session is closed'));
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #clearRepetition(): void {
    if (this.#repetition !== null) clearTimeout(this.#repetition);
    this.#repetition = null;
  }
}
