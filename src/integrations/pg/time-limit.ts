import { clearTimeout, setTimeout } from 'node:timers';
import { errors } from '../../index.js';

/** A time limit as a signal: it is aborted with an error when the time has passed. */
export class TimeLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** `milliseconds` until the signal is aborted with an `OperationalError` of this message. */
  constructor(milliseconds: number, message: string) {
    this.#timer = setTimeout(() => {
      this.#controller.abort(new errors.OperationalError(message));
    }, milliseconds);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time is no longer of interest. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
