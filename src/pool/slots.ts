import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';

/**
 * The state of a slot:
 *
 * - `connecting`: its resource is being made, or waits for a worker to make it
 * - `idle`: its resource is free
 * - `lent`: a checkout has it
 * - `checking`: the pool finds out whether its resource works
 * - `closing`: its resource is being ended, and may still count on the server
 * - `gone`: it is not in the pool any more
 */
export type SlotState = 'connecting' | 'idle' | 'lent' | 'checking' | 'closing' | 'gone';

/** One checkout, from the request for a resource until it has been given back. Subclasses add what they know of it. */
export class Checkout<T> {
  /** The slot that it has; null before it was served. After its end the slot may belong to another checkout. */
  slot: Slot<T> | null = null;
  /** When it was served, by the pool's clock. */
  since = 0;

  /** What is lent out, once it has been served. */
  get resource(): T {
    return this.slot!.resource!;
  }
}

/** A place in a pool, and what the pool knows of the resource in it. Moments are the clock's, in seconds. */
export class Slot<T> {
  /** Changed by `Slots` alone. */
  state: SlotState = 'connecting';
  /** null until it has been made. */
  resource: T | null = null;
  /** The checkout that has it; null unless it is lent. */
  holder: Checkout<T> | null = null;
  /** Ends the attempt to connect, or the check, that is under way. */
  aborter: AbortController | null = null;
  /** How many drains there had been when its making began. */
  generation = 0;
  /** Its lifetime is drawn once, when it has been made. */
  expiresAt = Infinity;
  /** When it came to be idle. */
  idleSince = 0;
  /** When it was made, came back, or passed a check. */
  provenAt = 0;
}

/** The slots of a pool: one set, in which each slot is in one state. A transition that cannot be is refused. */
export class Slots<T> {
  readonly #all = new Set<Slot<T>>();
  /** The idle ones, the most recently used last. */
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

  /** The number of slots whose resource can be used: idle, lent, or being checked. */
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

  /** The idle slot that has not been used for longest. */
  get firstIdle(): Slot<T> | undefined {
    return this.#idle[0];
  }

  /** A new slot, whose resource is to be made. */
  add(): Slot<T> {
    const slot = new Slot<T>();
    this.#all.add(slot);
    this.#connecting++;
    return slot;
  }

  /** Its resource was made, has come back, or has passed a check: it becomes idle. */
  rest(slot: Slot<T>): void {
    if (slot.state === 'lent') this.#lent--;
    else if (slot.state === 'connecting') this.#connecting--;
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'idle');
    slot.state = 'idle';
    slot.holder = null;
    this.#idle.push(slot);
  }

  /** A checkout has it from here on. */
  lend(slot: Slot<T>, checkout: Checkout<T>, now: number): void {
    if (slot.state === 'idle') this.#leaveIdle(slot);
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'lent');
    slot.state = 'lent';
    this.#lent++;
    slot.holder = checkout;
    checkout.slot = slot;
    checkout.since = now;
  }

  /** The pool has it for a check. */
  check(slot: Slot<T>): void {
    if (slot.state !== 'idle') refuse(slot, 'checking');
    this.#leaveIdle(slot);
    slot.state = 'checking';
    this.#checking++;
  }

  /** Its resource is being ended. */
  close(slot: Slot<T>): void {
    if (slot.state === 'idle') this.#leaveIdle(slot);
    else if (slot.state === 'lent') this.#lent--;
    else if (slot.state === 'connecting') this.#connecting--;
    else if (slot.state === 'checking') this.#checking--;
    else refuse(slot, 'closing');
    slot.state = 'closing';
    slot.holder = null;
  }

  /** The resource has gone: removes the slot. */
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

/** How long resources stay idle. */
export interface IdleOptions {
  /** How long a resource above `minSize` may be idle, in seconds; 0 or Infinity: for ever. */
  readonly maxIdle: number;
  readonly clock: Clock;
}

/** Knows which idle resources have outlived their time, and when the next will have: then it calls for a sweep. */
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
    this.#timer = this.#clock.after(Math.max(0, at - now), this.#due, false);
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
