import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { CheckoutMessage, ConnectMessage, EvictMessage, ReturnMessage } from '../../src/index.js';

/** What a connection of a pool was for a while. Times are seconds since the recording began. */
export interface Interval {
  /** The connection's row in the drawing; it keeps the row for as long as it lives. */
  readonly row: number;
  readonly state: 'connecting' | 'idle' | 'lent out';
  readonly from: number;
  readonly to: number;
}

/** How many requests waited from a moment on. */
export interface QueueLength {
  readonly at: number;
  readonly waiting: number;
}

interface Slot {
  pid: number | null;
  state: Interval['state'];
  since: number;
}

/** Records what the connections of a pool do, from its diagnostics channels. */
export class PoolRecorder {
  readonly intervals: Interval[] = [];
  readonly queue: QueueLength[] = [{ at: 0, waiting: 0 }];
  readonly #began = performance.now();
  readonly #slots: (Slot | null)[] = [];
  readonly #connecting = new Map<ConnectMessage, Slot>();
  readonly #asking = new Set<CheckoutMessage>();
  readonly #handlers: readonly [string, (message: unknown) => void][];

  constructor(pool: string) {
    const on = <M extends { pool: string | null }>(
      channel: string,
      handle: (message: M) => void,
    ): [string, (message: unknown) => void] => [
      channel,
      (message) => {
        if ((message as M).pool === pool) handle(message as M);
      },
    ];
    this.#handlers = [
      on<ConnectMessage>('tracing:usingpg:connect:start', (message) => {
        this.#connecting.set(message, this.#add());
      }),
      on<ConnectMessage>('tracing:usingpg:connect:asyncEnd', (message) => {
        const slot = this.#connecting.get(message)!;
        this.#connecting.delete(message);
        slot.pid = message.backendPid;
        if (message.error === undefined) this.#enter(slot, 'idle');
        else this.#remove(slot);
      }),
      on<CheckoutMessage>('tracing:usingpg:checkout:end', (message) => {
        if (message.seconds !== null || !message.waited) return;
        this.#asking.add(message);
        this.#tellQueue();
      }),
      on<CheckoutMessage>('tracing:usingpg:checkout:asyncEnd', (message) => {
        if (this.#asking.delete(message)) this.#tellQueue();
        if (message.error === undefined) this.#enter(this.#of(message.backendPid), 'lent out');
      }),
      on<ReturnMessage>('usingpg:return', ({ backendPid }) => {
        this.#enter(this.#of(backendPid), 'idle');
      }),
      on<EvictMessage>('usingpg:evict', ({ backendPid }) => {
        this.#remove(this.#of(backendPid));
      }),
    ];
    for (const [channel, handler] of this.#handlers) subscribe(channel, handler);
  }

  /** Seconds since the recording began. */
  get now(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Ends the recording, and with it what the connections are. */
  stop(): void {
    for (const [channel, handler] of this.#handlers) unsubscribe(channel, handler);
    for (const slot of this.#slots) if (slot !== null) this.#note(slot);
    this.queue.push({ at: this.now, waiting: this.#asking.size });
  }

  #add(): Slot {
    const slot: Slot = { pid: null, state: 'connecting', since: this.now };
    const free = this.#slots.indexOf(null);
    this.#slots[free === -1 ? this.#slots.length : free] = slot;
    return slot;
  }

  #of(pid: number | null): Slot | undefined {
    return this.#slots.find((slot): slot is Slot => slot !== null && slot.pid === pid);
  }

  #enter(slot: Slot | undefined, state: Interval['state']): void {
    if (slot === undefined) return;
    this.#note(slot);
    slot.state = state;
    slot.since = this.now;
  }

  #remove(slot: Slot | undefined): void {
    if (slot === undefined) return;
    this.#note(slot);
    this.#slots[this.#slots.indexOf(slot)] = null;
  }

  #note(slot: Slot): void {
    this.intervals.push({
      row: this.#slots.indexOf(slot) + 1,
      state: slot.state,
      from: slot.since,
      to: this.now,
    });
  }

  #tellQueue(): void {
    this.queue.push({ at: this.now, waiting: this.#asking.size });
  }
}
