import * as errors from '../errors/index.js';
import type { Clock } from './clock.js';
import type { Lease } from './lease.js';
import { within } from './limits.js';
import type { ResourceSource, Slot } from './resource-source.js';

/** How resources are checked. */
export interface CheckOptions {
  /** How long a check may take before the resource counts as lost, in seconds; 0 or Infinity: for ever. */
  readonly checkTimeout: number;
  readonly clock: Clock;
}

/** A resource used within so many seconds is not checked again. */
const CHECK_AFTER = 0.5;

/** Finds out whether resources work. */
export class Checks<T> {
  readonly #source: ResourceSource<T>;
  readonly #options: CheckOptions;
  readonly #onFailed: (error: unknown) => void;

  /** `onFailed` hears why a resource has not passed, before its lease ends. */
  constructor(source: ResourceSource<T>, options: CheckOptions, onFailed: (error: unknown) => void) {
    this.#source = source;
    this.#options = options;
    this.#onFailed = onFailed;
  }

  /** Whether a resource should be checked before it is lent out. */
  isNeeded(slot: Slot<T>, now: number): boolean {
    return this.#source.check !== null && now - slot.idleSince >= CHECK_AFTER;
  }

  /**
   * Whether a resource passes `check`, by default that of its source, for which the pool has it meanwhile. If not, its lease has
   * ended when this resolves. It never rejects.
   */
  async passes(lease: Lease<T>, check = this.#source.check): Promise<boolean> {
    lease.keepForPool();
    const { checkTimeout, clock } = this.#options;
    try {
      await within(Promise.resolve(check?.(lease.resource)), {
        clock,
        seconds: checkTimeout === 0 ? Infinity : checkTimeout,
        late: () => {
          // What does not answer a check would not answer a goodbye.
          this.#source.abandon?.(lease.resource);
          return new errors.OperationalError(
            `a connection did not pass its check within ${String(checkTimeout)} seconds`,
          );
        },
      });
      return true;
    } catch (error) {
      this.#onFailed(error);
      lease.discard('check');
      return false;
    }
  }
}
