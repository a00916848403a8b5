import { clearTimeout, setTimeout } from 'node:timers';

/** Where waits and timers take their time from, in seconds; a test puts a clock of its own in its place. */
export interface Clock {
  /** Seconds since an arbitrary moment; it never goes back. */
  now(): number;
  /** The time of day in seconds. It goes on while the machine sleeps, when that of `now()` may stand still, and can be set. */
  wall(): number;
  /** Calls `fn` after `seconds`; never for Infinity. A timer without `keepAlive` does not keep the process alive. */
  after(seconds: number, fn: () => void, keepAlive: boolean): Timer;
}

/** A scheduled call. */
export interface Timer {
  cancel(): void;
}

/** The longest delay of Node's timers, in seconds. */
const LONGEST = 2_147_483;

/** Milliseconds of the monotonic clock. The bound function is faster than the method, and Node loads `performance` at its first use. */
let monotonic = (): number => {
  monotonic = performance.now.bind(performance);
  return monotonic();
};

/** Node's own clock. */
export const systemClock: Clock = {
  now: () => monotonic() / 1000,
  wall: () => Date.now() / 1000,
  after: (seconds, fn, keepAlive) => new SystemTimer(seconds, fn, keepAlive),
};

class SystemTimer implements Timer {
  #timeout: NodeJS.Timeout;

  constructor(seconds: number, fn: () => void, keepAlive: boolean) {
    this.#timeout = this.#arm(seconds, fn, keepAlive);
  }

  #arm(seconds: number, fn: () => void, keepAlive: boolean): NodeJS.Timeout {
    const due =
      seconds <= LONGEST
        ? fn
        : () => {
            this.#timeout = this.#arm(seconds - LONGEST, fn, keepAlive);
          };
    const timeout = setTimeout(due, Math.min(seconds, LONGEST) * 1000);
    if (!keepAlive) timeout.unref();
    return timeout;
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

/** The abort listeners of each signal. */
const listenersOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` once when `signal` is aborted; immediately if it is aborted already. Returns a function that removes the
 * listener.
 *
 * Node sees at most one listener per signal, so it never warns of a leak (MaxListenersExceededWarning). A listener must not
 * throw.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return nothing;
  }
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) listenersOf.set(signal, (listeners = new Set()));
  // The wrapper keeps two registrations of one function apart.
  const call = (): void => {
    listener();
  };
  listeners.add(call);
  if (listeners.size === 1) signal.addEventListener('abort', tellAbort, { once: true });
  return () => {
    if (listeners.delete(call) && listeners.size === 0) signal.removeEventListener('abort', tellAbort);
  };
}

function tellAbort(this: AbortSignal): void {
  const listeners = listenersOf.get(this);
  if (listeners === undefined) return;
  listenersOf.delete(this);
  for (const listener of listeners) {
    // A listener may have removed this one.
    if (listeners.delete(listener)) listener();
  }
}

/** What ends a wait. */
export interface Limits<V> {
  /** Seconds; Infinity waits for ever, which keeps the process alive. Without it, no timer is set. Requires `late`. */
  readonly seconds?: number;
  /** Provides the result after `seconds`, or a promise of it; if it throws, the wait rejects with its error. */
  readonly late?: () => V | PromiseLike<V>;
  /** Ends the wait with its reason when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called once before the promise settles, whatever ended the wait; for example to leave a queue. */
  readonly ended?: () => void;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A wait. Its first end counts: its operation's, the time limit's or the signal's. */
export interface Wait<V> {
  resolve(value: V): void;
  reject(reason: unknown): void;
}

/** Starts an operation that ends the wait later. */
export type Begin<V> = (wait: Wait<V>) => void;

/**
 * Waits for a promise, or for an operation started by `begin`, with a time limit and until an abort. The library waits for
 * everything except its own sockets by this function. The operation goes on after the wait has ended; its later failure is
 * ignored.
 */
export function waitFor<V>(what: PromiseLike<V> | Begin<V>, limits: Limits<V>): Promise<V> {
  return new Promise((resolve, reject) => {
    new LimitedWait(resolve, reject, limits).begin(what);
  });
}

/** Ten thousand waits may be under way, so each is one object rather than a set of closures. */
class LimitedWait<V> implements Wait<V> {
  readonly #resolve: (value: V | PromiseLike<V>) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #limits: Limits<V>;
  #isOver = false;
  #timer: Timer | null = null;
  #unlisten: (() => void) | null = null;

  constructor(
    resolve: (value: V | PromiseLike<V>) => void,
    reject: (reason: unknown) => void,
    limits: Limits<V>,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#limits = limits;
  }

  begin(what: PromiseLike<V> | Begin<V>): void {
    const { seconds, signal, clock = systemClock } = this.#limits;
    if (typeof what !== 'function') {
      what.then(
        (value) => {
          this.resolve(value);
        },
        (reason: unknown) => {
          this.reject(reason);
        },
      );
    }
    if (signal !== undefined) {
      this.#unlisten = onAbort(signal, () => {
        this.reject(signal.reason);
      });
      // If the signal is already aborted, the operation is not started.
      if (signal.aborted) return;
    }
    if (seconds !== undefined) {
      const late = (): void => {
        this.#late();
      };
      this.#timer = clock.after(seconds, late, true);
    }
    if (typeof what === 'function') what(this);
  }

  resolve(value: V): void {
    if (this.#end()) this.#resolve(value);
  }

  reject(reason: unknown): void {
    if (this.#end()) this.#reject(reason);
  }

  #late(): void {
    if (!this.#end()) return;
    try {
      this.#resolve(this.#limits.late!());
    } catch (error) {
      this.#reject(error);
    }
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#unlisten?.();
    this.#limits.ended?.();
    return true;
  }
}

/** Waits for a number of seconds; rejects with the reason of `signal` if it is aborted before. */
export function pause(
  seconds: number,
  limits: Pick<Limits<undefined>, 'signal' | 'clock'> = {},
): Promise<undefined> {
  return waitFor<undefined>(nothing, { ...limits, seconds, late: nothing });
}

function nothing(): undefined {
  return undefined;
}
