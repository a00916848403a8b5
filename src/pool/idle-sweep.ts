import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';
import type { Resources } from './resources.js';
import type { Slot, Slots } from './slot.js';

/** The limits on idle resources. */
export interface IdleOptions {
  /** The maximum idle time of a resource above `minSize`, in seconds; 0 or Infinity: no limit. */
  readonly maxIdle: number;
  readonly clock: Clock;
}

/** Finds idle resources that have exceeded their time, and requests a sweep when the next one will. */
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

  /**
   * Returns the idle slots that have reached their lifetime, and up to `surplus` that exceeded their idle time, each with the
   * reason.
   */
  overdue(surplus: number, now: number): [Slot<T>, EvictReason][] {
    const overdue: [Slot<T>, EvictReason][] = [];
    for (const slot of this.#slots.in('idle')) {
      const isUnused = overdue.length < surplus && now - slot.idleSince >= this.#maxIdle;
      if (isUnused || now >= slot.expiresAt) overdue.push([slot, isUnused ? 'idle' : 'lifetime']);
    }
    return overdue;
  }

  /** Schedules a sweep for an idle slot. */
  schedule({ idleSince, expiresAt }: Slot<T>, now: number): void {
    const unusedAt = idleSince + this.#maxIdle;
    // A slot that has exceeded its idle time stays only because the pool is at its minimum.
    const at = unusedAt <= now ? expiresAt : Math.min(expiresAt, unusedAt);
    if (at >= this.#at) return;
    this.stop();
    this.#at = at;
    // A timer keeps the asynchronous context of the code that sets it; this one belongs to the pool's context.
    this.#timer = this.#resources.inOwnContext(() =>
      this.#clock.after(Math.max(0, at - now), this.#due, false),
    );
  }

  /** Schedules sweeps for all idle slots again. */
  reschedule(now: number): void {
    this.stop();
    for (const slot of this.#slots.in('idle')) this.schedule(slot, now);
  }

  /** Cancels the scheduled sweep. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#at = Infinity;
  }
}
