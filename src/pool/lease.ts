import type { EvictReason } from '../diagnostics.js';
import type { Slot } from './resource-source.js';

/** One checkout of a resource. It ends once: by `release()` or `discard()`. */
export class Lease<T> {
  readonly resource: T;
  /** @internal */
  readonly slot: Slot<T>;
  /** @internal Where it stands among those that have not ended. */
  place = 0;
  #since: number;
  #isUse = true;
  #leases: Leases<T> | null;

  /** @internal */
  constructor(slot: Slot<T>, since: number, leases: Leases<T>) {
    this.resource = slot.resource;
    this.slot = slot;
    this.#since = since;
    this.#leases = leases;
  }

  /** When it began, by the pool's clock. */
  get since(): number {
    return this.#since;
  }

  /** @internal Whether somebody uses the resource, rather than the pool itself. */
  get isUse(): boolean {
    return this.#isUse;
  }

  /** @internal For the time being the pool has it. */
  keepForPool(): void {
    this.#isUse = false;
  }

  /** @internal From here on it is used. */
  beginUse(now: number): void {
    this.#isUse = true;
    this.#since = now;
  }

  /** Gives the resource back. Returns false if the lease had ended before. */
  release(): boolean {
    return this.#end(null);
  }

  /** Ends the lease and the resource, which is of no use any more. Returns false if the lease had ended before. */
  discard(reason: EvictReason = 'unusable'): boolean {
    return this.#end(reason);
  }

  #end(evict: EvictReason | null): boolean {
    const leases = this.#leases;
    if (leases === null) return false;
    this.#leases = null;
    leases.remove(this, evict);
    return true;
  }
}

/** The leases of a pool that have not ended. */
export class Leases<T> {
  readonly #leases: Lease<T>[] = [];
  readonly #onEnd: (lease: Lease<T>, evict: EvictReason | null) => void;

  /** `onEnd` is called when a lease has ended; `evict`: why its resource is to be ended, too. */
  constructor(onEnd: (lease: Lease<T>, evict: EvictReason | null) => void) {
    this.#onEnd = onEnd;
  }

  get length(): number {
    return this.#leases.length;
  }

  /** Those of this moment. */
  get all(): Lease<T>[] {
    return [...this.#leases];
  }

  /** Lends a resource out that nobody has. */
  lend(slot: Slot<T>, now: number): Lease<T> {
    const lease = new Lease(slot, now, this);
    lease.place = this.#leases.push(lease) - 1;
    return lease;
  }

  /** @internal It has ended. */
  remove(lease: Lease<T>, evict: EvictReason | null): void {
    const last = this.#leases.pop()!;
    if (last !== lease) {
      this.#leases[lease.place] = last;
      last.place = lease.place;
    }
    this.#onEnd(lease, evict);
  }
}
