/** What is told of if its handle is collected; `LostHandles` keeps its own notes on it. */
export interface Held<H extends object> {
  /** @internal The handle, until it is registered. */
  fresh: H | null;
  /** @internal Where it stands among those not registered yet. */
  place: number;
}

/**
 * Hears of handles that were garbage-collected while somebody should have given them back.
 *
 * To register a handle costs about as much as the rest of a checkout, most of it in later collections. So those that come back
 * within the turn of the event loop that gave them out are spared it: a handle is registered when that turn is over.
 */
export class LostHandles<H extends object, T extends Held<H>> {
  readonly #registry: FinalizationRegistry<T>;
  readonly #fresh: T[] = [];
  #scheduled = false;

  /** `onLost` is called some time after the collection. */
  constructor(onLost: (held: T) => void) {
    this.#registry = new FinalizationRegistry(onLost);
  }

  /** The handle has been given out. `held` must not lead to it, but by `fresh`. */
  watch(handle: H, held: T): void {
    held.fresh = handle;
    held.place = this.#fresh.push(held) - 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#register);
  }

  /** It has come back. */
  forget(held: T): void {
    if (held.fresh === null) {
      this.#registry.unregister(held);
      return;
    }
    held.fresh = null;
    const last = this.#fresh.pop();
    if (last === undefined || last === held) return;
    this.#fresh[held.place] = last;
    last.place = held.place;
  }

  readonly #register = (): void => {
    this.#scheduled = false;
    for (const held of this.#fresh.splice(0)) {
      if (held.fresh === null) continue;
      this.#registry.register(held.fresh, held, held);
      held.fresh = null;
    }
  };
}
