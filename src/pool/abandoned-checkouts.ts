import { setImmediate } from 'node:timers';

/** A checkout that is reported if the object given out for it is collected. */
export interface Abandonable<H extends object> {
  /** @internal That object, until it is registered. */
  fresh: H | null;
  /** @internal Its index among the checkouts that are not registered yet. */
  place: number;
}

/**
 * Reports checkouts whose connection was garbage-collected, so that no code can give it back any more.
 *
 * Registering an object costs about as much as the rest of a checkout, most of it in later collections. A checkout that comes back
 * within the turn of the event loop that gave it out is spared this: objects are registered when that turn is over.
 */
export class AbandonedCheckouts<H extends object, T extends Abandonable<H>> {
  readonly #registry: FinalizationRegistry<T>;
  readonly #fresh: T[] = [];
  #scheduled = false;

  /** `onAbandoned` is called some time after the collection. */
  constructor(onAbandoned: (checkout: T) => void) {
    this.#registry = new FinalizationRegistry(onAbandoned);
  }

  /** The connection has been given out. `checkout` must not lead to it, but by `fresh`. */
  watch(connection: H, checkout: T): void {
    checkout.fresh = connection;
    checkout.place = this.#fresh.push(checkout) - 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#register);
  }

  /** The connection has come back. */
  forget(checkout: T): void {
    if (checkout.fresh === null) {
      this.#registry.unregister(checkout);
      return;
    }
    checkout.fresh = null;
    const last = this.#fresh.pop();
    if (last === undefined || last === checkout) return;
    this.#fresh[checkout.place] = last;
    last.place = checkout.place;
  }

  readonly #register = (): void => {
    this.#scheduled = false;
    for (const checkout of this.#fresh.splice(0)) {
      if (checkout.fresh === null) continue;
      this.#registry.register(checkout.fresh, checkout, checkout);
      checkout.fresh = null;
    }
  };
}
