import type { Clock, Timer } from '../waiting.js';

export { systemClock, type Clock, type Timer } from '../waiting.js';

/** Calls `late` after so many seconds, never after Infinity. Until it is cancelled somebody waits: the process stays alive. */
export function deadline(clock: Clock, seconds: number, late: () => void): Timer {
  return clock.after(seconds, late, true);
}
