/** A checkout that is reported if its connection object is garbage-collected. */
export interface Abandonable<H extends object> {
  /** @internal The connection object, until it is registered. */
  fresh: H | null;
  /** @internal Its index among the checkouts that are not registered yet. */
  place: number;
}

/**
 * Reports checkouts whose connection object was garbage-collected, so that no code can return it any more.
 *
 * Registering an object costs about as much as the rest of a checkout, mostly in later collections. Objects are therefore
 * registered at the end of the event loop's turn, which spares a checkout that is returned within its turn.
 */
export class AbandonedCheckouts<H extends object, T extends Abandonable<H>> {
  readonly #registry: FinalizationRegistry<T>;
  readonly #fresh: T[] = [];
  #scheduled = false;

  /** `onAbandoned` is called some time after the collection. */
  constructor(onAbandoned: (checkout: T) => void) {
    this.#registry = new FinalizationRegistry(onAbandoned);
  }

  /** Watches a connection object. `checkout` may refer to it only by `fresh`, since any other reference would keep it alive. */
  watch(connection: H, checkout: T): void {
    checkout.fresh = connection;
    checkout.place = this.#fresh.push(checkout) - 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#register);
  }

  /** Stops watching a checkout that was returned. */
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
