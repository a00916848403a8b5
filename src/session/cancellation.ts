import { sendCancelRequest } from '../wire/cancel-request.js';
import type { InFlight } from './in-flight.js';
import type { Reply } from './reply.js';
import { connectionError, type Transport } from './transport.js';

/** Who waits until a request to cancel `reply` has been dealt with. */
interface Waiter {
  readonly reply: Reply;
  readonly resolve: () => void;
}

/**
 * The cancel requests of a session, which are connections of their own: at most one at a time. It is idle, or a request has been made
 * and nothing may be sent until the server has dealt with it, or the statement's answer is awaited. What else is to be cancelled
 * waits for its turn: a request hits what the server runs at that moment, so one is made only for the statement that is being
 * answered, and only if all that has been sent behind it is to be cancelled too, or would be skipped.
 */
export class Cancellation {
  readonly #transport: Transport;
  readonly #inFlight: InFlight;
  readonly #onDealtWith: () => void;
  #state: 'idle' | 'requested' | 'awaiting answer' = 'idle';
  /** What the last request was made for, until it is answered. */
  #target: Reply | null = null;
  /** Which reply has to come within a limit of time, and the limit. */
  #deadline: { readonly reply: Reply; readonly timer: NodeJS.Timeout } | null = null;
  #repetition: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #patience = 0;
  #request: AbortController | null = null;
  #waiters: Waiter[] = [];
  #stopped = false;

  /** `onDealtWith` is called when the server has dealt with a request. */
  constructor(transport: Transport, inFlight: InFlight, onDealtWith: () => void) {
    this.#transport = transport;
    this.#inFlight = inFlight;
    this.#onDealtWith = onDealtWith;
  }

  /** Whether a request has been made that may hit whatever the server is sent. */
  get underway(): boolean {
    return this.#state === 'requested';
  }

  /** Has a statement in flight cancelled, as soon as nothing else can be hit. */
  want(reply: Reply): void {
    reply.cancelWanted = true;
    this.advance();
  }

  /** Has a statement cancelled although others may have been sent behind it. Resolves when the request has been dealt with. */
  wantNow(reply: Reply): Promise<void> {
    if (reply.kind === 'statement') reply.cancelAnyway = true;
    return new Promise((resolve) => {
      this.#waiters.push({ reply, resolve });
      this.want(reply);
    });
  }

  /** Makes the next request, if there is one to be made: called whenever another statement is being answered. */
  advance(): void {
    if (this.#state === 'requested' || this.#stopped) return;
    const { head } = this.#inFlight;
    if (this.#target !== null && head === this.#target) return;
    this.#target = null;
    this.#state = 'idle';
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
    this.#state = 'requested';
    this.expectAnswer(reply);
    const { limits, address, key } = this.#transport;
    const request = new AbortController();
    this.#request = request;
    // Late, it could hit a successor.
    const limit = setTimeout(() => {
      this.#giveUp();
    }, limits.cancel * 1000);
    this.#silence = setTimeout(() => {
      if (reply.kind === 'statement') reply.onSilence?.();
    }, limits.signOfLife * 1000);
    void sendCancelRequest(address, key, request.signal)
      // Not delivered: the statement may still end by itself before the limit.
      .catch(() => undefined)
      .then(() => {
        clearTimeout(limit);
        clearTimeout(this.#silence!);
        this.#request = null;
        this.#onceDealtWith(reply);
      });
  }

  #onceDealtWith(reply: Reply): void {
    this.#state = 'awaiting answer';
    if (this.#stopped) return;
    for (const other of this.#inFlight) if (other !== reply) other.mayBeHit = true;
    if (this.#inFlight.head === reply) this.#repeatLater(reply);
    this.#tellWaiters();
    this.advance();
    this.#onDealtWith();
  }

  /** A request that arrives before its statement does nothing, so another is made if there is still no answer. */
  #repeatLater(reply: Reply): void {
    const patience = this.#patience;
    this.#patience = 2 * patience;
    this.#repetition = setTimeout(() => {
      if (this.#inFlight.head !== reply) return;
      if (this.#isSafe(reply)) this.#make(reply);
      else this.#repeatLater(reply);
    }, patience * 1000);
  }

  /** A reply has been asked to end: there is a limit for its answer. */
  expectAnswer(reply: Reply): void {
    if (this.#stopped || this.#deadline?.reply === reply) return;
    this.#clearDeadline();
    const timer = setTimeout(() => {
      this.#giveUp();
    }, this.#transport.limits.cancel * 1000);
    this.#deadline = { reply, timer };
  }

  /** A reply has been answered, and is not in flight any more. */
  answered(reply: Reply): void {
    if (this.#deadline?.reply === reply) this.#clearDeadline();
    if (this.#target === reply) {
      this.#clearRepetition();
      if (this.#state !== 'requested') this.#target = null;
    }
    if (this.#waiters.length > 0) this.#tellWaiters();
  }

  /** Waiters whose reply has been answered, or been the target of a request that is over, need not wait any more. */
  #tellWaiters(): void {
    if (this.#state === 'requested') return;
    const waiters = this.#waiters;
    this.#waiters = [];
    const inFlight = new Set(this.#inFlight);
    for (const waiter of waiters) {
      if (inFlight.has(waiter.reply) && waiter.reply !== this.#target) this.#waiters.push(waiter);
      else waiter.resolve();
    }
  }

  #giveUp(): void {
    this.#transport.fail(
      connectionError(
        `the server did not answer a cancel request within ${String(this.#transport.limits.cancel)} seconds; the connection is closed`,
      ),
    );
  }

  /** The session is over: so are its requests. */
  stop(): void {
    this.#stopped = true;
    this.#clearDeadline();
    this.#clearRepetition();
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#request?.abort(new Error('the session is closed'));
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline.timer);
    this.#deadline = null;
  }

  #clearRepetition(): void {
    if (this.#repetition !== null) clearTimeout(this.#repetition);
    this.#repetition = null;
  }
}
