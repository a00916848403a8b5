import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from './clock.js';
import type { Endings } from './endings.js';
import type { ResourceSource, Slot } from './resource-source.js';
import type { Counters } from './statistics.js';

/** How long resources stay idle. */
export interface IdleOptions {
  /** How long a resource above `minSize` may be idle, in seconds; 0 or Infinity: for ever. */
  readonly maxIdle: number;
  readonly clock: Clock;
}

/** What idle resources have to do with. */
interface Surroundings<T> {
  readonly source: ResourceSource<T>;
  readonly endings: Endings<T>;
  readonly counters: Counters;
  /** Calls for a `sweep()`. */
  readonly sweepDue: () => void;
}

/** The resources of a pool that nobody has: lent out last in, first out, ended when they are found lost or outlive their time. */
export class IdleResources<T> {
  readonly #source: ResourceSource<T>;
  readonly #endings: Endings<T>;
  readonly #counters: Counters;
  readonly #sweepDue: () => void;
  readonly #clock: Clock;
  readonly #maxIdle: number;
  /** The most recently used last. */
  #slots: Slot<T>[] = [];
  #timer: Timer | null = null;
  #sweepAt = Infinity;

  constructor({ source, endings, counters, sweepDue }: Surroundings<T>, { maxIdle, clock }: IdleOptions) {
    this.#source = source;
    this.#endings = endings;
    this.#counters = counters;
    this.#sweepDue = sweepDue;
    this.#clock = clock;
    this.#maxIdle = maxIdle === 0 ? Infinity : maxIdle;
  }

  get length(): number {
    return this.#slots.length;
  }

  /** Those of this moment. */
  get all(): Slot<T>[] {
    return [...this.#slots];
  }

  /** Adds one that is free. */
  add(slot: Slot<T>, now: number): void {
    slot.idleSince = now;
    this.#slots.push(slot);
    this.#scheduleSweep(slot, now);
  }

  /** Takes out the most recently used of those that are alive and have time left; null if there is none. */
  take(now: number): Slot<T> | null {
    for (;;) {
      const slot = this.#slots.pop();
      if (slot === undefined) return null;
      if (!this.#source.isAlive(slot.resource)) this.#endLost(slot);
      else if (now >= slot.expiresAt) this.#endings.end(slot.resource, 'lifetime');
      else return slot;
    }
  }

  /** Takes out this one. Returns whether it was still in. */
  remove(slot: Slot<T>): boolean {
    const index = this.#slots.indexOf(slot);
    if (index >= 0) this.#slots.splice(index, 1);
    return index >= 0;
  }

  /** A resource was lost: ends it if it is idle, and returns whether it was. */
  endIfLost(resource: T): boolean {
    const slot = this.#slots.find((one) => one.resource === resource);
    if (slot === undefined) return false;
    this.remove(slot);
    this.#endLost(slot);
    return true;
  }

  /** Ends up to `count` of those that were not used for longest. */
  endOldest(count: number, reason: EvictReason): void {
    for (const { resource } of this.#slots.splice(0, count)) this.#endings.end(resource, reason);
  }

  /** Ends all. */
  endAll(reason: EvictReason): void {
    this.endOldest(this.#slots.length, reason);
  }

  /** Ends those that have outlived their time, and up to `surplus` that nobody has used for long. */
  sweep(surplus: number): void {
    this.stopSweeping();
    const now = this.#clock.now();
    const ended = new Map<Slot<T>, EvictReason>();
    for (const slot of this.#slots) {
      const unused = ended.size < surplus && now - slot.idleSince >= this.#maxIdle;
      if (unused || now >= slot.expiresAt) ended.set(slot, unused ? 'idle' : 'lifetime');
    }
    this.#slots = this.#slots.filter((slot) => !ended.has(slot));
    for (const [{ resource }, reason] of ended) this.#endings.end(resource, reason);
    for (const slot of this.#slots) this.#scheduleSweep(slot, now);
  }

  /** Calls for no more sweeps, until one is added. */
  stopSweeping(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#sweepAt = Infinity;
  }

  #endLost(slot: Slot<T>): void {
    this.#counters.connectionsLost++;
    this.#endings.end(slot.resource, 'lost');
  }

  #scheduleSweep(slot: Slot<T>, now: number): void {
    const unusedAt = slot.idleSince + this.#maxIdle;
    // One that has been idle for longer already stays because the pool is at its smallest.
    const at = unusedAt <= now ? slot.expiresAt : Math.min(slot.expiresAt, unusedAt);
    if (at >= this.#sweepAt) return;
    this.#timer?.cancel();
    this.#sweepAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - now), this.#sweepDue, false);
  }
}
