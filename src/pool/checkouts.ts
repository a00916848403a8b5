import type { AsyncConnection } from '../connection/connection.js';
import type { ConnectionCore } from '../connection/connection-core.js';
import {
  connectionCore,
  endCheckout,
  isAtRest,
  isBusy,
  lendConnection,
  setKeepsProcessAlive,
  type CheckoutEnd,
} from '../connection/checkout.js';
import { callersStack } from '../errors/callers-stack.js';
import { NOT_ENDED, tracers, type CheckoutMessage } from '../diagnostics.js';
import { systemClock } from '../waiting.js';
import { AbandonedCheckouts, type Abandonable } from './abandoned-checkouts.js';
import type { ConnectionSource } from './connection-source.js';
import { explainStuck, explainWait, LeakWatch, Origin, type WatchedCheckout } from './leak-watch.js';
import { checkSeconds, checkSignal } from './options.js';
import type { PoolEvents } from './pool-events.js';
import type { ResourcePool } from './resource-pool.js';
import { Checkout } from './slot.js';

/** Lets a checkout last without limit: a pool's `leakThreshold` does not concern it. @internal */
export const MAY_LAST: unique symbol = Symbol('usingpg.mayLast');

/** How to wait for a connection of a pool. */
export interface CheckoutOptions {
  /** Seconds to wait. @default the pool's `timeout` */
  timeout?: number | undefined;
  /** Stops waiting when it is aborted. */
  signal?: AbortSignal | undefined;
  /** @internal */
  [MAY_LAST]?: boolean | undefined;
}

/** The options of a pool that concern lending. */
export interface LendingOptions {
  /** The pool's name. */
  readonly name: string;
  /** How long to wait for a connection, in seconds. */
  readonly timeout: number;
  /** Whether `close()` of a connection gives it back. */
  readonly closeReturns: boolean;
  /** Whether idle connections let the process end. */
  readonly allowExitOnIdle: boolean;
  /** How long a connection may be lent out before that is reported, in seconds; 0 or Infinity: for ever. */
  readonly leakThreshold: number;
}

/**
 * One checkout of a connection: the resource, when it was served, where it was asked for, and what the asking task holds already. It
 * does not keep the connection that was given out from being collected.
 */
class ConnectionCheckout<R>
  extends Checkout<AsyncConnection<R>>
  implements WatchedCheckout, Abandonable<AsyncConnection<R>>
{
  readonly checkouts: Checkouts<R>;
  readonly origin: Origin | null;
  readonly heldByTask: readonly WatchedCheckout[];
  /** The core of the connection that was given out; null before that. */
  core: ConnectionCore | null = null;
  hasEnded = false;
  fresh: AsyncConnection<R> | null = null;
  place = 0;

  constructor(checkouts: Checkouts<R>, origin: Origin | null, heldByTask: readonly WatchedCheckout[]) {
    super();
    this.checkouts = checkouts;
    this.origin = origin;
    this.heldByTask = heldByTask;
  }

  get backendPid(): number {
    return this.core?.session.backendPid ?? 0;
  }
}

/** How a checkout ends: its user gives it back, with an error or without, or has lost it. */
type HowItEnds = 'returned' | 'failed' | 'collected';

const DONE = Promise.resolve();
const NONE: readonly WatchedCheckout[] = [];

/** Gives out the connections of a pool, under a fresh `AsyncConnection` each time, and takes them back. */
export class Checkouts<R> {
  readonly #pool: ResourcePool<AsyncConnection<R>>;
  readonly #source: ConnectionSource<R>;
  readonly #events: PoolEvents<R>;
  readonly #options: LendingOptions;
  readonly #leaks: LeakWatch;
  readonly #abandoned = new AbandonedCheckouts<AsyncConnection<R>, ConnectionCheckout<R>>((checkout) => {
    void this.#takeBack(checkout, 'collected');
  });
  readonly #putBack = (connection: AsyncConnection<R>): Promise<void> => this.giveBack(connection);

  constructor(
    pool: ResourcePool<AsyncConnection<R>>,
    source: ConnectionSource<R>,
    events: PoolEvents<R>,
    options: LendingOptions,
  ) {
    this.#pool = pool;
    this.#source = source;
    this.#events = events;
    this.#options = options;
    this.#leaks = new LeakWatch(options.name, options.leakThreshold, systemClock);
  }

  // --- out

  /** Gives out a connection. A property, as the stack of a leak is taken from below this function. */
  readonly checkout = (options: CheckoutOptions): Promise<AsyncConnection<R>> => {
    if (!tracers.checkout.watched) return this.#checkout(options, null);
    const message: CheckoutMessage = {
      pool: this.#options.name,
      timeout: options.timeout ?? this.#options.timeout,
      waited: false,
      backendPid: null,
      ...NOT_ENDED,
    };
    return tracers.checkout.trace(
      message,
      () => this.#checkout(options, message),
      () => undefined,
    );
  };

  async #checkout(options: CheckoutOptions, message: CheckoutMessage | null): Promise<AsyncConnection<R>> {
    const { timeout = this.#options.timeout, signal } = options;
    if (options.timeout !== undefined) checkSeconds('timeout', timeout);
    if (signal !== undefined) checkSignal(signal);
    // Taken before the first await: here the stack still has the caller, and the context is the caller's.
    const origin = this.#leaks.isOn ? new Origin(this.checkout) : null;
    const checkout = new ConnectionCheckout(this, origin, this.#leaks.isOn ? this.#leaks.held : NONE);
    const acquired = this.#pool.acquire({ timeout, signal }, checkout);
    if (message !== null) message.waited = acquired instanceof Promise;
    try {
      if (acquired instanceof Promise) await acquired;
    } catch (error) {
      throw callersStack(error);
    }
    try {
      const connection = this.#giveOut(checkout, options[MAY_LAST] === true);
      if (message !== null) message.backendPid = checkout.backendPid;
      return connection;
    } catch (error) {
      // The constructor of the user's `connectionClass` has thrown: that costs no connection.
      this.#finish(checkout, isAtRest(checkout.resource));
      throw error;
    }
  }

  #giveOut(checkout: ConnectionCheckout<R>, mayLast: boolean): AsyncConnection<R> {
    const { resource } = checkout;
    const connection = lendConnection(resource, this.#putBack, this.#options.closeReturns);
    const core = connectionCore(connection)!;
    core.checkout = checkout;
    checkout.core = core;
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(resource, true);
    this.#abandoned.watch(connection, checkout);
    if (checkout.origin !== null && !mayLast) this.#leaks.begin(checkout, checkout.origin);
    return connection;
  }

  // --- who has what

  /** Whether a connection is lent out by this pool, and has not come back. */
  isLent(connection: AsyncConnection<R>): boolean {
    return this.#checkoutOf(connection) !== null;
  }

  /** The checkout of a connection that this pool has lent out; null of any other, and of what is none. */
  #checkoutOf(connection: AsyncConnection<R>): ConnectionCheckout<R> | null {
    const checkout = connectionCore(connection)?.checkout;
    return checkout instanceof ConnectionCheckout && checkout.checkouts === this
      ? (checkout as ConnectionCheckout<R>)
      : null;
  }

  /** Runs `task`, which holds `connection`. */
  asHolder<T>(connection: AsyncConnection<R>, task: () => T): T {
    const checkout = this.#leaks.isOn ? this.#checkoutOf(connection) : null;
    return checkout === null ? task() : this.#leaks.holding(checkout, task);
  }

  /** The part of a timeout's message, for `asker`, that explains what is lent out. */
  explain(
    lent: readonly Checkout<AsyncConnection<R>>[],
    asker: Checkout<AsyncConnection<R>>,
    stuck: boolean,
  ): string {
    const known = lent
      .filter((checkout): checkout is ConnectionCheckout<R> => checkout instanceof ConnectionCheckout)
      .filter(({ origin }) => origin !== null);
    const held = asker instanceof ConnectionCheckout ? asker.heldByTask : [];
    const parts = explainWait(known, held);
    const unused = lent.filter(({ resource }) => !isBusy(resource)).length;
    if (lent.length > 0 && unused === lent.length) parts.push('nothing is running on those lent out');
    // Only a pool that watches for leaks knows which task holds which connection. A task that waits for itself leaves its connection unused.
    const isNamed = known.some((checkout) => held.includes(checkout));
    if (stuck && unused > 0 && !isNamed) parts.push(explainStuck(lent.length, unused));
    return parts.join('; ');
  }

  // --- back

  /** Takes a connection back, if it is lent out. Never rejects. `failed`: its user's code has thrown. */
  giveBack(connection: AsyncConnection<R>, failed = false): Promise<void> {
    const checkout = this.#checkoutOf(connection);
    return checkout === null ? DONE : this.#takeBack(checkout, failed ? 'failed' : 'returned');
  }

  /** All that can become of a connection that comes back, or that its user has lost. Resolves when the next may have it. */
  #takeBack(checkout: ConnectionCheckout<R>, how: HowItEnds): Promise<void> {
    const core = checkout.core!;
    // A connection comes back only once.
    core.checkout = null;
    checkout.hasEnded = true;
    if (how !== 'collected') this.#abandoned.forget(checkout);
    if (checkout.origin !== null || how === 'collected') this.#leaks.end(checkout, how === 'collected');
    // The borrower can't use it any more. Running statements are cancelled, uncommitted work is rolled back.
    const ended = endCheckout(core);
    // Mostly nothing has to be awaited: then the next waiter is served at once.
    if (!(ended instanceof Promise) && !this.#source.resets) {
      this.#finish(checkout, ended.usable);
      return DONE;
    }
    return this.#takeBackLater(checkout, how, ended);
  }

  /** The rest of `#takeBack()`, where something has to be awaited. */
  async #takeBackLater(
    checkout: ConnectionCheckout<R>,
    how: HowItEnds,
    ended: CheckoutEnd | Promise<CheckoutEnd>,
  ): Promise<void> {
    const { usable, uncommittedWrites } = await ended;
    // A user whose code has failed already knows that nothing was committed.
    if (uncommittedWrites && how !== 'failed') {
      this.#pool.counters.returnsUncommitted++;
      this.#events.uncommitted(checkout.resource);
    }
    // A connection that the pool would not keep is not cleaned up.
    const isClean = usable && (!this.#pool.keepsReturned || (await this.#reset(checkout.resource)));
    this.#finish(checkout, isClean);
  }

  /** Returns whether the user's `reset` has cleaned up a connection. */
  async #reset(connection: AsyncConnection<R>): Promise<boolean> {
    if (!this.#source.resets) return true;
    try {
      await this.#source.reset(connection);
      return true;
    } catch (error) {
      this.#events.resetFailed(error);
      return false;
    }
  }

  /** Returns the connection to the pool, which lends it on or ends it. */
  #finish(checkout: ConnectionCheckout<R>, usable: boolean): void {
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(checkout.resource, false);
    if (usable) {
      this.#pool.release(checkout);
    } else {
      this.#pool.counters.returnsBad++;
      this.#pool.discard(checkout);
    }
  }
}
