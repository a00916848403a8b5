import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';
import type { Resources } from './resources.js';
import type { Slot, Slots } from './slot.js';

/** How long resources stay idle. */
export interface IdleOptions {
  /** How long a resource above `minSize` may be idle, in seconds; 0 or Infinity: for ever. */
  readonly maxIdle: number;
  readonly clock: Clock;
}

/** Knows which idle resources have outlived their time, and when the next will have: then it calls for a sweep. */
export class IdleSweep<T> {
  readonly #slots: Slots<T>;
  readonly #resources: Resources<T>;
  readonly #clock: Clock;
  readonly #maxIdle: number;
  readonly #due: () => void;
  #timer: Timer | null = null;
  #at = Infinity;

  /** `due` is called when a sweep is due. */
  constructor(slots: Slots<T>, resources: Resources<T>, { maxIdle, clock }: IdleOptions, due: () => void) {
    this.#slots = slots;
    this.#resources = resources;
    this.#clock = clock;
    this.#maxIdle = maxIdle === 0 ? Infinity : maxIdle;
    this.#due = due;
  }

  /** Those that have reached their lifetime, and up to `surplus` that have been idle for too long, each with the reason. */
  overdue(surplus: number, now: number): [Slot<T>, EvictReason][] {
    const overdue: [Slot<T>, EvictReason][] = [];
    for (const slot of this.#slots.in('idle')) {
      const isUnused = overdue.length < surplus && now - slot.idleSince >= this.#maxIdle;
      if (isUnused || now >= slot.expiresAt) overdue.push([slot, isUnused ? 'idle' : 'lifetime']);
    }
    return overdue;
  }

  /** An idle slot is to be looked at in its time. */
  schedule({ idleSince, expiresAt }: Slot<T>, now: number): void {
    const unusedAt = idleSince + this.#maxIdle;
    // One that has been idle for longer already stays because the pool is at its smallest.
    const at = unusedAt <= now ? expiresAt : Math.min(expiresAt, unusedAt);
    if (at >= this.#at) return;
    this.stop();
    this.#at = at;
    // A timer keeps the context of the code that sets it; here that is the pool's own context.
    this.#timer = this.#resources.inOwnContext(() =>
      this.#clock.after(Math.max(0, at - now), this.#due, false),
    );
  }

  /** All idle slots are to be looked at anew. */
  reschedule(now: number): void {
    this.stop();
    for (const slot of this.#slots.in('idle')) this.schedule(slot, now);
  }

  /** Calls for no more sweeps, until a slot is scheduled. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#at = Infinity;
  }
}
