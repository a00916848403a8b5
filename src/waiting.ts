import { clearTimeout, setTimeout } from 'node:timers';

/** Where waits and timers take their time from, in seconds; a test puts a clock of its own in its place. */
export interface Clock {
  /** Seconds since some moment in the past; it never goes back. */
  now(): number;
  /** Calls `fn` after `seconds`; never after Infinity. A timer that does not `keepAlive` lets the process end before. */
  after(seconds: number, fn: () => void, keepAlive: boolean): Timer;
}

/** A call to come. */
export interface Timer {
  cancel(): void;
}

/** The longest delay that a timer of Node takes, in seconds. */
const LONGEST = 2_147_483;

/** Node's own clock. */
export const systemClock: Clock = {
  now: () => performance.now() / 1000,
  after: (seconds, fn, keepAlive) => {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      timer = setTimeout(
        () => {
          if (left > LONGEST) arm(left - LONGEST);
          else fn();
        },
        Math.min(left, LONGEST) * 1000,
      );
      if (!keepAlive) timer.unref();
    };
    arm(seconds);
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Who hears of the abort of each signal. */
const listenersOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` once when `signal` is aborted; at once if it is already. Returns what takes the listener off again.
 *
 * However many listen to one signal, Node sees one listener, and so has no leak to warn of
 * (MaxListenersExceededWarning). A listener must not throw.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return nothing;
  }
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) listenersOf.set(signal, (listeners = new Set()));
  // Two that listen with one function are two.
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
    // One that is called may take another off.
    if (listeners.delete(listener)) listener();
  }
}

/** How long something is waited for. */
export interface Limits<V> {
  /** Seconds; Infinity: for ever, which keeps the process alive. Without it no timer is set. Needs `late`. */
  readonly seconds?: number;
  /** What the wait comes to when `seconds` are over; what it throws, the wait rejects with. */
  readonly late?: () => V;
  /** Ends the wait when it is aborted, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called once, before the promise settles, whatever has ended the wait: the place to leave a queue, say. */
  readonly ended?: () => void;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** What begins something that is waited for, and settles it later. */
export type Begin<V> = (resolve: (value: V) => void, reject: (reason: unknown) => void) => void;

/**
 * Waits for a promise, or for what `begin` settles, within limits of time and until an abort. This is how the library waits
 * for anything but its own sockets: what is waited for goes on when the wait has ended, and its failure is then nobody's.
 */
export function waitFor<V>(what: PromiseLike<V> | Begin<V>, limits: Limits<V>): Promise<V> {
  const { seconds, late, signal, ended, clock = systemClock } = limits;
  return new Promise((resolve, reject) => {
    let isOver = false;
    let timer: Timer | undefined;
    let unlisten: (() => void) | undefined;
    const end = (): boolean => {
      if (isOver) return false;
      isOver = true;
      timer?.cancel();
      unlisten?.();
      ended?.();
      return true;
    };
    const succeed = (value: V): void => {
      if (end()) resolve(value);
    };
    const fail = (reason: unknown): void => {
      if (end()) reject(reason);
    };
    if (typeof what !== 'function') what.then(succeed, fail);
    if (signal !== undefined) {
      unlisten = onAbort(signal, () => {
        fail(signal.reason);
      });
      // One that was aborted before has nothing to begin.
      if (signal.aborted) return;
    }
    if (seconds !== undefined) {
      timer = clock.after(
        seconds,
        () => {
          if (!end()) return;
          try {
            resolve(late!());
          } catch (error) {
            reject(error);
          }
        },
        true,
      );
    }
    if (typeof what === 'function') what(succeed, fail);
  });
}

/** Waits for so many seconds; rejects with the reason of `signal` if that is aborted before. */
export function pause(
  seconds: number,
  limits: Pick<Limits<undefined>, 'signal' | 'clock'> = {},
): Promise<undefined> {
  return waitFor<undefined>(nothing, { ...limits, seconds, late: nothing });
}

function nothing(): undefined {
  return undefined;
}
