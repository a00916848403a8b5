/** Where a pool takes its time from, in seconds; a test puts its own in place of it. */
export interface Clock {
  /** Seconds since some moment in the past. */
  now(): number;
  /** Calls `fn` after `seconds`. A timer that does not `keepAlive` lets the process end before. */
  after(seconds: number, fn: () => void, keepAlive: boolean): Timer;
}

/** A call to come. */
export interface Timer {
  cancel(): void;
}

/** The longest delay that a timer of Node takes, in seconds. */
const LONGEST = 2_147_483;

/** Node's own clock, which never goes back. */
export const systemClock: Clock = {
  now: () => performance.now() / 1000,
  after: (seconds, fn, keepAlive) => {
    const timer = setTimeout(fn, Math.min(seconds, LONGEST) * 1000);
    if (!keepAlive) timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Calls `late` after so many seconds, never after Infinity. Until it is cancelled somebody waits: the process stays alive. */
export function deadline(clock: Clock, seconds: number, late: () => void): Timer {
  return clock.after(seconds, Number.isFinite(seconds) ? late : () => undefined, true);
}
