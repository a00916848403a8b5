import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';

/**
 * The state of a slot:
 *
 * - `connecting`: its resource is being made, or waits for a worker
 * - `idle`: its resource is free
 * - `lent`: a checkout uses it
 * - `checking`: the pool is checking its resource
 * - `closing`: its resource is being closed, and may still count as a connection on the server
 * - `gone`: it has been removed from the pool
 */
export type SlotState = 'connecting' | 'idle' | 'lent' | 'checking' | 'closing' | 'gone';

/** One checkout, from the request until the resource is returned. Subclasses add further information. */
export class Checkout<T> {
  /** Its slot; null before it is served. After its end, the slot may belong to another checkout. */
  slot: Slot<T> | null = null;
  /** When it was served, by the pool's clock. */
  since = 0;

  /** The resource, once the checkout is served. */
  get resource(): T {
    return this.slot!.resource!;
  }
}

/** A place in a pool, with its resource and state. Times are the clock's, in seconds. */
export class Slot<T> {
  /** Changed only by `Slots`. */
  state: SlotState = 'connecting';
  /** Null until it has been made. */
  resource: T | null = null;
  /** The checkout that uses it; null unless it is lent. */
  holder: Checkout<T> | null = null;
  /** Aborts the current attempt to connect, or the current check. */
  aborter: AbortController | null = null;
  /** The number of drains before its making began. */
  generation = 0;
  /** The end of its lifetime, which is drawn at random once it has been made. */
  expiresAt = Infinity;
  /** The number of checkouts that it has served, the current one included. */
  uses = 0;
  /** When it became idle. */
  idleSince = 0;
  /** When it was made, returned or successfully checked; and the time of day then, if resources are checked. */
  provenAt = 0;
  provenOn = 0;

  /** Whether the pool has closed the resource, perhaps during an await. */
  get isOver(): boolean {
    return this.state === 'closing' || this.state === 'gone';
  }
}

/** The slots of a pool: one set, in which each slot has one state. An invalid transition throws. */
export class Slots<T> {
  readonly #all = new Set<Slot<T>>();
  /** The idle slots; the last one was used most recently. */
  readonly #idle: Slot<T>[] = [];
  #connecting = 0;
  #lent = 0;
  #checking = 0;

  /** The number of slots, in any state. */
  get total(): number {
    return this.#all.size;
  }

  get connecting(): number {
    return this.#connecting;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get lent(): number {
    return this.#lent;
  }

  get checking(): number {
    return this.#checking;
  }

  /** The number of slots with a usable resource: idle, lent, or being checked. */
  get there(): number {
    return this.#idle.length + this.#lent + this.#checking;
  }

  /** A snapshot of the slots in a state. */
  in(state: SlotState): Slot<T>[] {
    return state === 'idle' ? [...this.#idle] : [...this.#all].filter((slot) => slot.state === state);
  }

  /** The idle slot that was used most recently. */
  get lastIdle(): Slot<T> | undefined {
    return this.#idle[this.#idle.length - 1];
  }

  /** The idle slot that has been unused for longest. */
  get firstIdle(): Slot<T> | undefined {
    return this.#idle[0];
  }

  /** Adds a slot whose resource is to be made. */
  add(): Slot<T> {
    const slot = new Slot<T>();
    this.#all.add(slot);
    this.#connecting++;
    return slot;
  }

  /** Makes a slot idle whose resource was made, returned or successfully checked. */
  rest(slot: Slot<T>): void {
    if (slot.state === 'lent') this.#lent--;
    else if (slot.state === 'connecting') this.#connecting--;
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'idle');
    slot.state = 'idle';
    slot.holder = null;
    this.#idle.push(slot);
  }

  /** Lends a slot to a checkout. */
  lend(slot: Slot<T>, checkout: Checkout<T>, now: number): void {
    if (slot.state === 'idle') this.#leaveIdle(slot);
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'lent');
    slot.state = 'lent';
    this.#lent++;
    slot.uses++;
    slot.holder = checkout;
    checkout.slot = slot;
    checkout.since = now;
  }

  /** Marks a slot as being checked. */
  check(slot: Slot<T>): void {
    if (slot.state !== 'idle') refuse(slot, 'checking');
    this.#leaveIdle(slot);
    slot.state = 'checking';
    this.#checking++;
  }

  /** Marks a slot as being closed. */
  close(slot: Slot<T>): void {
    if (slot.state === 'idle') this.#leaveIdle(slot);
    else if (slot.state === 'lent') this.#lent--;
    else if (slot.state === 'connecting') this.#connecting--;
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'closing');
    slot.state = 'closing';
    slot.holder = null;
  }

  /** Removes a slot whose resource is gone. */
  remove(slot: Slot<T>): void {
    if (slot.state === 'connecting') this.#connecting--;
    else if (slot.state !== 'closing') refuse(slot, 'gone');
    slot.state = 'gone';
    this.#all.delete(slot);
  }

  #leaveIdle(slot: Slot<T>): void {
    const last = this.#idle.pop()!;
    if (last === slot) return;
    this.#idle.push(last);
    this.#idle.splice(this.#idle.indexOf(slot), 1);
  }
}

function refuse({ state }: Slot<unknown>, next: SlotState): never {
  throw new Error(`a slot of a pool that is ${state} cannot become ${next}: this is a fault of usingpg`);
}

/** The limits on idle resources. */
export interface IdleOptions {
  /** The maximum idle time of a resource above `minSize`, in seconds; 0 or Infinity: no limit. */
  readonly maxIdle: number;
  readonly clock: Clock;
}

/** Finds idle resources that have exceeded their time, and requests a sweep when the next one will. */
export class IdleSweep<T> {
  readonly #slots: Slots<T>;
  readonly #clock: Clock;
  readonly #maxIdle: number;
  readonly #due: () => void;
  #timer: Timer | null = null;
  #at = Infinity;

  /** `due` is called when a sweep is due. */
  constructor(slots: Slots<T>, { maxIdle, clock }: IdleOptions, due: () => void) {
    this.#slots = slots;
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
    this.#timer = this.#clock.after(Math.max(0, at - now), this.#due, false);
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
