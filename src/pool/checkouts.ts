import { LENT_PARTS, type AsyncConnection } from '../connection/connection.js';
import { CORE, type ConnectionCore } from '../connection/connection-core.js';
import { NOT_ENDED, tracers, type CheckoutMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from '../waiting.js';
import type { ConnectionSource } from './connection-source.js';
import { explainStuck, explainWait, LeakWatch, Origin, type WatchedCheckout } from './leak-watch.js';
import { checkSeconds, checkSignal } from './options.js';
import type { PoolEvents } from './pool-events.js';
import type { ResourcePool } from './resource-pool.js';
import { Checkout } from './slots.js';

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
class ConnectionCheckout<R> extends Checkout<AsyncConnection<R>> implements WatchedCheckout {
  readonly checkouts: Checkouts<R>;
  readonly origin: Origin | null;
  readonly heldByTask: readonly WatchedCheckout[];
  /** The core of the connection that was given out; null before that. */
  core: ConnectionCore | null = null;
  hasEnded = false;
  /** The connection that was given out, until its collection is watched for, and the place of the checkout among those of which that is true. */
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

/** What is left of a checkout once its connection has been rolled back. */
interface CheckoutEnd {
  /** Whether the session is alive and idle, fit for the next borrower. */
  readonly usable: boolean;
  /** Whether uncommitted writes were rolled back. */
  readonly uncommittedWrites: boolean;
}

/** The limit for the answer to the ROLLBACK of a returned connection, in seconds; after it the connection is given up. */
const ROLLBACK_LIMIT = 5;
const DONE = Promise.resolve();
const NONE: readonly WatchedCheckout[] = [];

/** Gives out the connections of a pool, under a fresh `AsyncConnection` each time, and takes them back. */
export class Checkouts<R> {
  readonly #pool: ResourcePool<AsyncConnection<R>>;
  readonly #source: ConnectionSource<R>;
  readonly #events: PoolEvents<R>;
  readonly #options: LendingOptions;
  readonly #leaks: LeakWatch;
  readonly #abandoned = new AbandonedCheckouts<R>((checkout) => {
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

  /**
   * Gives out a connection; at once, without a promise, if one is idle that needs no check. Raises, or rejects with, what
   * `pool.connection()` rejects with. A property, as the stack of a leak is taken from below this function.
   */
  readonly take = (options: CheckoutOptions): AsyncConnection<R> | Promise<AsyncConnection<R>> => {
    if (!tracers.checkout.watched) return this.#take(options, null);
    const message: CheckoutMessage = {
      pool: this.#options.name,
      timeout: options.timeout ?? this.#options.timeout,
      waited: false,
      backendPid: null,
      ...NOT_ENDED,
    };
    return tracers.checkout.trace(
      message,
      async () => this.#take(options, message),
      () => undefined,
    );
  };

  #take(
    options: CheckoutOptions,
    message: CheckoutMessage | null,
  ): AsyncConnection<R> | Promise<AsyncConnection<R>> {
    const { timeout = this.#options.timeout, signal, [MAY_LAST]: mayLast = false } = options;
    if (options.timeout !== undefined) checkSeconds('timeout', timeout);
    if (signal !== undefined) checkSignal(signal);
    // Taken before the first await: here the stack still has the caller, and the context is the caller's.
    const origin = this.#leaks.isOn ? new Origin(this.take) : null;
    const checkout = new ConnectionCheckout(this, origin, this.#leaks.isOn ? this.#leaks.held : NONE);
    const acquired = this.#pool.acquire({ timeout, signal }, checkout);
    if (!(acquired instanceof Promise)) return this.#giveOut(checkout, mayLast, message);
    if (message !== null) message.waited = true;
    return acquired.then(() => this.#giveOut(checkout, mayLast, message));
  }

  #giveOut(
    checkout: ConnectionCheckout<R>,
    mayLast: boolean,
    message: CheckoutMessage | null,
  ): AsyncConnection<R> {
    const { resource } = checkout;
    let connection: AsyncConnection<R>;
    try {
      const Class = resource.constructor as typeof AsyncConnection<R>;
      connection = new Class(resource[LENT_PARTS](this.#putBack, this.#options.closeReturns));
    } catch (error) {
      // The constructor of the user's `connectionClass` has thrown: that costs no connection.
      this.#finish(checkout, isAtRest(resource[CORE]));
      throw error;
    }
    const core = connection[CORE];
    core.checkout = checkout;
    checkout.core = core;
    if (this.#options.allowExitOnIdle) core.session.setKeepsProcessAlive(true);
    this.#abandoned.watch(connection, checkout);
    if (checkout.origin !== null && !mayLast) this.#leaks.begin(checkout, checkout.origin);
    if (message !== null) message.backendPid = checkout.backendPid;
    return connection;
  }

  // --- who has what

  /** Whether a connection is lent out by this pool, and has not come back. */
  isLent(connection: AsyncConnection<R>): boolean {
    return this.#checkoutOf(connection) !== null;
  }

  /** The checkout of a connection that this pool has lent out; null of any other, and of what is none. */
  #checkoutOf(connection: AsyncConnection<R>): ConnectionCheckout<R> | null {
    const checkout = (connection as Partial<AsyncConnection<R>> | null | undefined)?.[CORE]?.checkout;
    return checkout instanceof ConnectionCheckout && checkout.checkouts === this
      ? (checkout as ConnectionCheckout<R>)
      : null;
  }

  /** Whether it is known which task holds which connection: if the pool watches for leaks. */
  get watchesTasks(): boolean {
    return this.#leaks.isOn;
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
    const unused = lent.filter(({ resource }) => resource[CORE].session.quiet).length;
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
    // The borrower can't use it any more.
    core.cutOff();
    // Mostly nothing has to be awaited: then the next waiter is served at once.
    if (isAtRest(core) && !this.#source.resets) {
      this.#finish(checkout, !core.mustReplace);
      return DONE;
    }
    return this.#takeBackLater(checkout, core, how);
  }

  /** The rest of `#takeBack()`, where something has to be awaited. */
  async #takeBackLater(checkout: ConnectionCheckout<R>, core: ConnectionCore, how: HowItEnds): Promise<void> {
    const { usable, uncommittedWrites } = await rollBack(core);
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
    if (this.#options.allowExitOnIdle) checkout.resource[CORE].session.setKeepsProcessAlive(false);
    if (usable) {
      this.#pool.release(checkout);
    } else {
      this.#pool.counters.returnsBad++;
      this.#pool.discard(checkout);
    }
  }
}

/** Whether the last user has left nothing on the connection: no statement, and no transaction. */
function isAtRest({ session }: ConnectionCore): boolean {
  return session.quiet && session.transactionStatus === TransactionStatus.IDLE;
}

/** Cancels what still runs on a connection that has come back, and rolls back what was not committed. */
async function rollBack(core: ConnectionCore): Promise<CheckoutEnd> {
  if (isAtRest(core)) return { usable: !core.mustReplace, uncommittedWrites: false };
  const { session } = core;
  let uncommittedWrites = core.leftWrites;
  try {
    const hadFailed = session.transactionStatus === TransactionStatus.INERROR;
    if (!session.quiet) {
      await session.abandonAll(
        () =>
          new errors.InterfaceError(
            'the connection was returned to its pool while the statement was waiting or running',
          ),
      );
    }
    // What was in flight may have been a write that is done, or the COMMIT.
    if (!hadFailed && !session.closed && session.transactionStatus !== TransactionStatus.IDLE)
      uncommittedWrites ||= core.record.wrote;
    // Nothing runs any more, so this is answered at once by a server that is there.
    const timer = systemClock.after(
      ROLLBACK_LIMIT,
      () => {
        session.drop();
      },
      true,
    );
    try {
      await session.rollback();
    } finally {
      timer.cancel();
    }
    return { usable: !session.closed && !core.mustReplace, uncommittedWrites };
  } catch {
    return { usable: false, uncommittedWrites };
  }
}

/**
 * Reports checkouts whose connection was garbage-collected, so that no code can give it back any more.
 *
 * Registering an object costs about as much as the rest of a checkout, most of it in later collections. A checkout that comes back
 * within the turn of the event loop that gave it out is spared this: objects are registered when that turn is over.
 */
class AbandonedCheckouts<R> {
  readonly #registry: FinalizationRegistry<ConnectionCheckout<R>>;
  readonly #fresh: ConnectionCheckout<R>[] = [];
  #scheduled = false;

  /** `onAbandoned` is called some time after the collection. */
  constructor(onAbandoned: (checkout: ConnectionCheckout<R>) => void) {
    this.#registry = new FinalizationRegistry(onAbandoned);
  }

  /** The connection has been given out. `checkout` must not lead to it, but by `fresh`. */
  watch(connection: AsyncConnection<R>, checkout: ConnectionCheckout<R>): void {
    checkout.fresh = connection;
    checkout.place = this.#fresh.push(checkout) - 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#register);
  }

  /** The connection has come back. */
  forget(checkout: ConnectionCheckout<R>): void {
    if (checkout.fresh === null) {
      this.#registry.unregister(checkout);
      return;
    }
    checkout.fresh = null;
    const last = this.#fresh.pop();
    if (last === undefined || last === checkout) return;
    this.#fresh[checkout.place] = last;
    last.place = checkout.place;
  }

  readonly #register = (): void => {
    this.#scheduled = false;
    for (const checkout of this.#fresh.splice(0)) {
      if (checkout.fresh === null) continue;
      this.#registry.register(checkout.fresh, checkout, checkout);
      checkout.fresh = null;
    }
  };
}
