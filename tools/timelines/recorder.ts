import { PoolWatch, type ConnectionState, type PoolObserver } from '../../examples/pool-watch.js';

/** What a connection of a pool was for a while. Times are seconds since the recording began. */
export interface Interval {
  /** The connection's row in the drawing; it keeps the row for as long as it lives. */
  readonly row: number;
  readonly state: ConnectionState;
  /** The port of its server; null while it connects. */
  readonly port: number | null;
  readonly from: number;
  readonly to: number;
}

/** How many requests waited from a moment on. */
export interface QueueLength {
  readonly at: number;
  readonly waiting: number;
}

/** Records what the connections of a pool do, from its diagnostics channels. */
export class PoolRecorder implements PoolObserver {
  readonly intervals: Interval[] = [];
  readonly queue: QueueLength[] = [{ at: 0, waiting: 0 }];
  readonly #began: number;
  readonly #watch: PoolWatch;

  /** Times count from the moment `began` of `performance.now()`. */
  constructor(pool: string, began = performance.now()) {
    this.#began = began;
    this.#watch = new PoolWatch(pool, this);
  }

  /** Seconds since the recording began. */
  get now(): number {
    return this.#seconds(performance.now());
  }

  /** Ends the recording. */
  stop(): void {
    this.#watch.stop();
    this.queueChanged(this.queue.at(-1)!.waiting);
  }

  stateLeft(place: number, state: ConnectionState, since: number, port: number | null): void {
    this.intervals.push({ row: place + 1, state, port, from: this.#seconds(since), to: this.now });
  }

  queueChanged(waiting: number): void {
    this.queue.push({ at: this.now, waiting });
  }

  #seconds(moment: number): number {
    return (moment - this.#began) / 1000;
  }
}
