import { LENT_PARTS, type AsyncConnection } from '../connection/connection.js';
import { CORE, type ConnectionCore } from '../connection/connection-core.js';
import { channels, NOT_ENDED, tracers, type CheckoutMessage } from '../diagnostics.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from '../waiting.js';
import type { ConnectionSource } from './connection-source.js';
import { explainStuck, explainWait, LeakWatch, Origin, type WatchedCheckout } from './leak-watch.js';
import type { PoolEvents } from './pool-events.js';
import type { ResourcePool } from './resource-pool.js';
import { Checkout } from './slots.js';

/** Exempts a checkout from the pool's `leakThreshold`. @internal */
export const MAY_LAST: unique symbol = Symbol('usingpg.mayLast');

/** Options of a checkout. */
export interface CheckoutOptions {
  /** Seconds to wait for a connection. @default the pool's `timeout` */
  timeout?: number | undefined;
  /** Ends the wait when it is aborted; in a call that commits, it ends the commit as well. */
  signal?: AbortSignal | undefined;
  /**
   * Whether the first attempt to connect that fails during the wait ends it, with the connection error; otherwise the pool tries
   * again, and the wait ends with `PoolTimeout`. A request that needs no new connection is not affected.
   * @default false
   */
  failFast?: boolean | undefined;
  /** @internal */
  [MAY_LAST]?: boolean | undefined;
}

/** The options of a pool that concern checkouts. */
export interface LendingOptions {
  /** The pool's name. */
  readonly name: string;
  /** Seconds to wait for a connection. */
  readonly timeout: number;
  /** Whether `close()` of a connection returns it to the pool. */
  readonly closeReturns: boolean;
  /** Whether the process may exit while connections are idle. */
  readonly allowExitOnIdle: boolean;
  /** Seconds after which a checkout is reported as a leak; 0 or Infinity: never. */
  readonly leakThreshold: number;
}

/**
 * One checkout of a connection: its resource, when it was served, where it was requested, and what the requesting task already
 * holds. It does not keep the connection object from being collected.
 */
class ConnectionCheckout<R> extends Checkout<AsyncConnection<R>> implements WatchedCheckout {
  readonly checkouts: Checkouts<R>;
  readonly origin: Origin | null;
  readonly heldByTask: readonly WatchedCheckout[];
  /** The core of the connection object; null before the checkout is served. */
  core: ConnectionCore | null = null;
  hasEnded = false;
  /**
   * The connection object, until it is registered for garbage collection, and the index of the checkout among those not
   * registered yet.
   */
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

async function waitedFor<T>(taken: Promise<T>): Promise<T> {
  try {
    return await taken;
  } catch (error) {
    throw callersStack(error);
  }
}

/** How a checkout ends: the connection is returned, with or without an error, or was garbage-collected. */
type HowItEnds = 'returned' | 'failed' | 'collected';

/** The result of rolling back a returned connection. */
interface CheckoutEnd {
  /** Whether the session is alive and idle, and so usable for the next borrower. */
  readonly usable: boolean;
  /** Whether uncommitted writes were rolled back. */
  readonly uncommittedWrites: boolean;
}

/** Seconds until a checkout is watched for garbage collection. */
const REGISTERED_AFTER = 0.005;
const DONE = Promise.resolve();
const NONE: readonly WatchedCheckout[] = [];
const NO_OPTIONS: CheckoutOptions = {};

/** Checks out the pool's connections, each time as a fresh `AsyncConnection`, and takes them back. */
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

  // --- checking out

  /**
   * Checks out a connection; without a promise if one is idle that needs no check. Throws or rejects with the errors of
   * `pool.connection()`, whose stacks lead to the caller if it awaits the result immediately. A property, since `Origin` cuts the
   * stack at this function.
   */
  readonly take = (
    options: CheckoutOptions | undefined,
  ): AsyncConnection<R> | Promise<AsyncConnection<R>> => {
    const taken = tracers.checkout.channel.hasSubscribers ? this.#traced(options) : this.#take(options, null);
    return taken instanceof Promise ? waitedFor(taken) : taken;
  };

  #traced(options: CheckoutOptions | undefined): Promise<AsyncConnection<R>> {
    const message: CheckoutMessage = {
      pool: this.#options.name,
      timeout: options?.timeout ?? this.#options.timeout,
      waited: false,
      backendPid: null,
      ...NOT_ENDED,
    };
    return tracers.checkout.trace(
      message,
      async () => this.#take(options, message),
      () => undefined,
    );
  }

  #take(
    options: CheckoutOptions | undefined,
    message: CheckoutMessage | null,
  ): AsyncConnection<R> | Promise<AsyncConnection<R>> {
    const {
      timeout = this.#options.timeout,
      signal,
      failFast,
      [MAY_LAST]: mayLast = false,
    } = options ?? NO_OPTIONS;
    // Before the first await, the stack and the asynchronous context are still the caller's.
    const origin = this.#leaks.isOn ? new Origin(this.take) : null;
    const checkout = new ConnectionCheckout(this, origin, this.#leaks.isOn ? this.#leaks.held : NONE);
    const acquired = this.#pool.acquire({ timeout, signal, failFast }, checkout);
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
      // The constructor of the user's `connectionClass` has thrown, which leaves the connection itself usable.
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

  // --- the current checkouts

  /** Whether this pool has checked out a connection that is not returned yet. */
  isLent(connection: AsyncConnection<R>): boolean {
    return this.#checkoutOf(connection) !== null;
  }

  /** The checkout of a connection of this pool; null for any other value. */
  #checkoutOf(connection: AsyncConnection<R>): ConnectionCheckout<R> | null {
    const checkout = (connection as Partial<AsyncConnection<R>> | null | undefined)?.[CORE]?.checkout;
    return checkout instanceof ConnectionCheckout && checkout.checkouts === this
      ? (checkout as ConnectionCheckout<R>)
      : null;
  }

  /** Whether the pool knows which task holds which connection, which it does if it watches for leaks. */
  get watchesTasks(): boolean {
    return this.#leaks.isOn;
  }

  /** Runs `task`, which holds `connection`. */
  asHolder<T>(connection: AsyncConnection<R>, task: () => T): T {
    const checkout = this.#leaks.isOn ? this.#checkoutOf(connection) : null;
    return checkout === null ? task() : this.#leaks.holding(checkout, task);
  }

  /** Explains the current checkouts in the error of a timeout of `asker`. */
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
    // Without `leakThreshold`, the pool does not know which task holds which connection. A task that waits for itself leaves its
    // connection unused.
    const isNamed = known.some((checkout) => held.includes(checkout));
    if (stuck && unused > 0 && !isNamed) parts.push(explainStuck(lent.length, unused));
    return parts.join('; ');
  }

  // --- returning

  /** Takes back a connection, if it is checked out. Never rejects. `failed`: the borrower's code has thrown. */
  giveBack(connection: AsyncConnection<R>, failed = false): Promise<void> {
    const checkout = this.#checkoutOf(connection);
    return checkout === null ? DONE : this.#takeBack(checkout, failed ? 'failed' : 'returned');
  }

  /** Decides what happens to a connection that is returned or lost by its borrower. Resolves when it may be lent again. */
  #takeBack(checkout: ConnectionCheckout<R>, how: HowItEnds): Promise<void> {
    const core = checkout.core!;
    // A connection is returned only once.
    core.checkout = null;
    checkout.hasEnded = true;
    if (how !== 'collected') this.#abandoned.forget(checkout);
    if (checkout.origin !== null || how === 'collected') this.#leaks.end(checkout, how === 'collected');
    // From here on the borrower cannot use it.
    core.cutOff();
    // In most cases there is nothing to await, so the next waiter is served at once.
    if (isAtRest(core) && !this.#source.resets) {
      this.#finish(checkout, !core.mustReplace);
      return DONE;
    }
    return this.#takeBackLater(checkout, core, how);
  }

  /** Continues `#takeBack()` if something must be awaited. */
  async #takeBackLater(checkout: ConnectionCheckout<R>, core: ConnectionCore, how: HowItEnds): Promise<void> {
    const { usable, uncommittedWrites } = await rollBack(core);
    // A borrower whose code threw already knows that nothing was committed.
    if (uncommittedWrites && how !== 'failed') {
      this.#pool.counters.returnsUncommitted++;
      this.#events.uncommitted(checkout.resource);
    }
    // A connection that the pool would not keep is not reset.
    const isClean = usable && (!this.#pool.keepsReturned || (await this.#reset(checkout.resource)));
    this.#finish(checkout, isClean);
  }

  /** Runs the user's `reset`; returns whether it succeeded. */
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

  /** Releases the connection to the pool, which lends it again or closes it. */
  #finish(checkout: ConnectionCheckout<R>, usable: boolean): void {
    if (this.#options.allowExitOnIdle) checkout.resource[CORE].session.setKeepsProcessAlive(false);
    // A checkout without a core has failed: nothing was given out that could come back.
    if (channels.return.hasSubscribers && checkout.core !== null) {
      this.#events.returned(checkout.backendPid, systemClock.now() - checkout.since);
    }
    if (usable) {
      this.#pool.release(checkout);
    } else {
      this.#pool.counters.returnsBad++;
      this.#pool.discard(checkout);
    }
  }
}

/** Whether the last borrower has left no statement and no transaction on the connection. */
function isAtRest({ session }: ConnectionCore): boolean {
  return session.transactionStatus === TransactionStatus.IDLE && session.quiet;
}

/** Cancels running statements of a returned connection, and rolls back uncommitted work. */
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
    // A lost connection has rolled back.
    if (session.closed) return { usable: false, uncommittedWrites };
    // The statement in flight may have been a completed write, or the COMMIT.
    if (!hadFailed && session.transactionStatus !== TransactionStatus.IDLE)
      uncommittedWrites ||= core.record.wrote;
    await session.rollback();
    return { usable: !session.closed && !core.mustReplace, uncommittedWrites };
  } catch {
    return { usable: false, uncommittedWrites };
  }
}

/**
 * Reports checkouts whose connection object was garbage-collected, so that no code can return it any more.
 *
 * Registering an object costs about as much as the rest of a checkout, mostly in later collections. Objects are therefore
 * registered `REGISTERED_AFTER` seconds later, all at once, which spares the checkouts that last for a few short statements. A timer
 * that is set for many checkouts is cheaper, too, than an immediate for each, which makes the event loop poll once more.
 */
class AbandonedCheckouts<R> {
  readonly #registry: FinalizationRegistry<ConnectionCheckout<R>>;
  readonly #fresh: ConnectionCheckout<R>[] = [];
  #scheduled = false;

  /** `onAbandoned` is called some time after the collection. */
  constructor(onAbandoned: (checkout: ConnectionCheckout<R>) => void) {
    this.#registry = new FinalizationRegistry(onAbandoned);
  }

  /** Watches a connection object. `checkout` may refer to it only by `fresh`, since any other reference would keep it alive. */
  watch(connection: AsyncConnection<R>, checkout: ConnectionCheckout<R>): void {
    checkout.fresh = connection;
    checkout.place = this.#fresh.push(checkout) - 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    systemClock.after(REGISTERED_AFTER, this.#register, false);
  }

  /** Stops watching a checkout that was returned. */
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
