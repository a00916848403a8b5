import type { AsyncConnection } from '../connection/connection.js';
import type { ConnectionCore } from '../connection/connection-core.js';
import {
  connectionCore,
  endCheckout,
  isBusy,
  lendConnection,
  setKeepsProcessAlive,
  type CheckoutEnd,
} from '../connection/checkout.js';
import { NOT_ENDED, tracers, type CheckoutMessage } from '../diagnostics.js';
import { checkSeconds, checkSignal } from './arguments.js';
import type { Callbacks } from './callbacks.js';
import { systemClock } from './clock.js';
import { explainStuck, explainWait, LASTING, LeakWatch, reportLeak, Watched } from './leak-watch.js';
import type { Lease } from './lease.js';
import { LostHandles, type Held } from './lost-handles.js';
import type { News } from './news.js';
import type { ResourcePool } from './resource-pool.js';

/** How to wait for a connection of a pool. */
export interface CheckoutOptions {
  /** Seconds to wait. @default the pool's `timeout` */
  timeout?: number | undefined;
  /** Stops waiting when it is aborted. */
  signal?: AbortSignal | undefined;
  /** @internal It is held for as long as its user lives, as a `Listener` does: `leakThreshold` does not count. */
  [LASTING]?: true | undefined;
}

/** What of a pool's options says how it lends. */
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

/** A connection that is lent out, without keeping its handle from being collected. */
class Checkout<R> implements Held<AsyncConnection<R>> {
  readonly lending: Lending<R>;
  readonly lease: Lease<AsyncConnection<R>>;
  readonly core: ConnectionCore;
  /** null unless leaks are watched for. */
  readonly watched: Watched | null;
  fresh: AsyncConnection<R> | null = null;
  place = 0;

  constructor(
    lending: Lending<R>,
    lease: Lease<AsyncConnection<R>>,
    core: ConnectionCore,
    watched: Watched | null,
  ) {
    this.lending = lending;
    this.lease = lease;
    this.core = core;
    this.watched = watched;
    core.checkout = this;
  }
}

const DONE = Promise.resolve();

/** Lends out the connections of a pool under a fresh handle each time, and takes them back from whoever gives them, or has lost them. */
export class Lending<R> {
  readonly #pool: ResourcePool<AsyncConnection<R>>;
  readonly #callbacks: Callbacks<R>;
  readonly #news: News<R>;
  readonly #options: LendingOptions;
  /** Hears of handles that were collected while they were lent out. */
  readonly #lost = new LostHandles<AsyncConnection<R>, Checkout<R>>((checkout) => {
    this.#takeBack(checkout);
  });
  /** null unless `leakThreshold` is on. */
  readonly #leaks: LeakWatch | null;
  /** The last checkout of each connection, if leaks are watched for. */
  readonly #watchedOf = new WeakMap<AsyncConnection<R>, Watched>();
  readonly #putBack = (connection: AsyncConnection<R>): Promise<void> => this.giveBack(connection);

  constructor(
    pool: ResourcePool<AsyncConnection<R>>,
    callbacks: Callbacks<R>,
    news: News<R>,
    options: LendingOptions,
  ) {
    const { name, leakThreshold } = options;
    this.#pool = pool;
    this.#callbacks = callbacks;
    this.#news = news;
    this.#options = options;
    this.#leaks =
      leakThreshold === 0 || leakThreshold === Infinity
        ? null
        : new LeakWatch(name, leakThreshold, systemClock);
  }

  /** Lends out a connection. A property, as the stack of a leak is taken from below this function. */
  readonly checkout = (options: CheckoutOptions): Promise<AsyncConnection<R>> => {
    if (!tracers.checkout.watched) return this.#lend(options, null);
    const message: CheckoutMessage = {
      pool: this.#options.name,
      timeout: options.timeout ?? this.#options.timeout,
      waited: false,
      backendPid: null,
      ...NOT_ENDED,
    };
    return tracers.checkout.trace(
      message,
      () => this.#lend(options, message),
      (connection) => {
        message.backendPid = connection.info.backendPid;
      },
    );
  };

  async #lend(options: CheckoutOptions, message: CheckoutMessage | null): Promise<AsyncConnection<R>> {
    const { timeout = this.#options.timeout, signal } = options;
    checkSeconds('timeout', timeout);
    checkSignal(signal);
    // Before anything is awaited: here the stack still has the caller, and the context is the caller's.
    const watched = this.#leaks === null ? null : new Watched(this.checkout);
    const acquired = this.#pool.acquire({ timeout, signal, asker: this.#leaks?.held });
    if (message !== null) message.waited = acquired instanceof Promise;
    const lease = acquired instanceof Promise ? await acquired : acquired;
    const base = lease.resource;
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(base, true);
    const connection = lendConnection(base, this.#putBack, this.#options.closeReturns);
    const checkout = new Checkout(this, lease, connectionCore(connection)!, watched);
    this.#lost.watch(connection, checkout);
    if (watched !== null) {
      this.#watchedOf.set(base, watched);
      this.#leaks?.begin(watched, base.info.backendPid, options[LASTING] === true);
    }
    return connection;
  }

  /** Whether a connection is lent out by this pool, and has not come back. */
  isLent(connection: AsyncConnection<R>): boolean {
    return this.#checkoutOf(connection) !== null;
  }

  /** The checkout of a connection that this pool has lent out; null of any other, and of what is none. */
  #checkoutOf(connection: AsyncConnection<R>): Checkout<R> | null {
    const checkout = connectionCore(connection)?.checkout;
    return checkout instanceof Checkout && checkout.lending === this ? (checkout as Checkout<R>) : null;
  }

  /** Runs `task`, which holds `connection`. */
  asHolder<T>(connection: AsyncConnection<R>, task: () => T): T {
    const watched = this.#checkoutOf(connection)?.watched ?? null;
    return watched === null || this.#leaks === null ? task() : this.#leaks.holding(watched, task);
  }

  /** What the message of a timeout says besides the counts, to an asker of `acquire()` who holds these. */
  explain(lent: readonly AsyncConnection<R>[], held: readonly Watched[] | undefined, stuck: boolean): string {
    const watched = lent.map((connection) => this.#watchedOf.get(connection));
    const parts = explainWait(
      watched.filter((known) => known !== undefined),
      held ?? [],
    );
    const unused = lent.filter((connection) => !isBusy(connection)).length;
    if (lent.length > 0 && unused === lent.length) parts.push('nothing is running on those lent out');
    // Which task holds what is known only where leaks are watched for; but who waits for itself leaves its connection unused.
    const isNamed = watched.some((known) => known !== undefined && held?.includes(known) === true);
    if (stuck && unused > 0 && !isNamed) parts.push(explainStuck(lent.length, unused));
    return parts.join('; ');
  }

  /** Ends a checkout, if it has not been ended before. Never rejects. `failed`: its user's code has thrown. */
  giveBack(connection: AsyncConnection<R>, failed = false): Promise<void> {
    const checkout = this.#checkoutOf(connection);
    if (checkout === null) return DONE;
    checkout.core.checkout = null;
    this.#lost.forget(checkout);
    if (checkout.watched !== null) this.#leaks?.end(checkout.watched, false);
    return this.#end(checkout, failed);
  }

  /** Ends a checkout whose handle nobody can give back any more. */
  #takeBack(checkout: Checkout<R>): void {
    const { watched, lease } = checkout;
    if (watched === null) {
      const seconds = systemClock.now() - lease.since;
      const { backendPid } = lease.resource.info;
      reportLeak({ pool: this.#options.name, backendPid, seconds, stack: null, collected: true });
    } else {
      this.#leaks?.end(watched, true);
    }
    void this.#end(checkout, false);
  }

  #end({ lease, core }: Checkout<R>, failed: boolean): Promise<void> {
    const ended = endCheckout(core);
    if (!(ended instanceof Promise) && !this.#callbacks.resets) {
      this.#finish(lease, ended.usable);
      return DONE;
    }
    return this.#endLater(lease, ended, failed);
  }

  async #endLater(
    lease: Lease<AsyncConnection<R>>,
    ended: CheckoutEnd | Promise<CheckoutEnd>,
    failed: boolean,
  ): Promise<void> {
    const end = await ended;
    if (end.uncommittedWrites && !failed) {
      this.#pool.counters.returnsUncommitted++;
      this.#news.uncommitted(lease.resource);
    }
    let { usable } = end;
    if (usable && this.#callbacks.resets && this.#pool.takesBack) {
      try {
        await this.#callbacks.reset(lease.resource);
      } catch (error) {
        usable = false;
        this.#news.resetFailed(error);
      }
    }
    this.#finish(lease, usable);
  }

  #finish(lease: Lease<AsyncConnection<R>>, usable: boolean): void {
    if (usable) {
      if (this.#options.allowExitOnIdle) setKeepsProcessAlive(lease.resource, false);
      lease.release();
    } else {
      this.#pool.counters.returnsBad++;
      lease.discard();
    }
  }
}
