import type { EvictReason } from '../diagnostics.js';
import type { ResourceSource } from './resource-source.js';

/** The resources of a pool that are being ended: until they have gone, they may still count at the other end. */
export class Endings<T> {
  readonly #source: ResourceSource<T>;
  readonly #onEnded: () => void;
  readonly #resources = new Map<Promise<void>, T>();

  /** `onEnded` is called when one has gone. */
  constructor(source: ResourceSource<T>, onEnded: () => void) {
    this.#source = source;
    this.#onEnded = onEnded;
  }

  get size(): number {
    return this.#resources.size;
  }

  /** Ends a resource that nobody has. */
  end(resource: T, reason: EvictReason): void {
    this.#source.ending?.(resource, reason);
    const ending = this.#source.destroy(resource).catch(() => undefined);
    this.#resources.set(ending, resource);
    void ending.then(() => {
      this.#resources.delete(ending);
      this.#onEnded();
    });
  }

  /** Drops those that have not gone yet. */
  abandon(): void {
    for (const resource of this.#resources.values()) this.#source.abandon?.(resource);
  }
}
