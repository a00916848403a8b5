import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type {
  CheckoutMessage,
  ConnectMessage,
  EvictMessage,
  QueryMessage,
  ReturnMessage,
} from '../src/index.js';

/** A place for a connection, as the page draws it. */
export interface SlotPicture {
  readonly state: 'empty' | 'connecting' | 'idle' | 'lent';
  /** The process id of the backend; null while there is none. */
  readonly pid: number | null;
  /** The statement that runs; null if none does. */
  readonly query: string | null;
  /** Milliseconds since the state was entered. */
  readonly ms: number;
}

/** A statement that has ended. */
export interface StatementPicture {
  /** Counts the statements, from 1. */
  readonly number: number;
  readonly pid: number;
  readonly query: string;
  readonly ms: number;
  readonly rowcount: number | null;
  readonly sqlstate: string | null;
}

/** What a pool is doing at a moment. */
export interface PoolPicture {
  readonly slots: readonly SlotPicture[];
  /** How long each waiting request has waited, in milliseconds; the first in the queue comes first. */
  readonly queue: readonly number[];
  /** The last statements, the latest first. */
  readonly statements: readonly StatementPicture[];
  /** Checkouts, statements, failures and connects since the watch began. */
  readonly totals: { checkouts: number; statements: number; failures: number; connects: number };
}

/** What else can be told of a pool than its picture. */
export interface PoolObserver {
  /**
   * A connection at this place leaves a state in which it was since that moment of `performance.now()`. The port is its server's;
   * null while it connects.
   */
  stateLeft(place: number, state: ConnectionState, since: number, port: number | null): void;
  /** So many requests wait from now on. */
  queueChanged(waiting: number): void;
}

export type ConnectionState = 'connecting' | 'idle' | 'lent';

interface Slot {
  state: ConnectionState;
  pid: number | null;
  port: number | null;
  since: number;
  running: QueryMessage | null;
}

const STATEMENTS_KEPT = 20;

/** Follows one pool by what it publishes on its diagnostics channels. */
export class PoolWatch {
  readonly #pool: string;
  readonly #observer: PoolObserver | null;
  /** A connection keeps its place for as long as it lives. */
  readonly #slots: (Slot | null)[] = [];
  readonly #connecting = new Map<ConnectMessage, Slot>();
  readonly #waiting = new Map<CheckoutMessage, number>();
  readonly #statements: StatementPicture[] = [];
  readonly #totals = { checkouts: 0, statements: 0, failures: 0, connects: 0 };
  readonly #handlers: readonly [channel: string, handler: (message: unknown) => void][];

  /** Watches from now on; made before the pool is, it sees all of its connections. */
  constructor(pool: string, observer: PoolObserver | null = null) {
    this.#pool = pool;
    this.#observer = observer;
    this.#handlers = [
      this.#on<ConnectMessage>('tracing:usingpg:connect:start', (message) => {
        this.#connecting.set(message, this.#place());
      }),
      this.#on<ConnectMessage>('tracing:usingpg:connect:asyncEnd', (message) => {
        const slot = this.#connecting.get(message);
        this.#connecting.delete(message);
        if (slot === undefined) return;
        if (message.error !== undefined) this.#remove(slot);
        else {
          this.#totals.connects++;
          slot.pid = message.backendPid;
          this.#enter(slot, 'idle');
          slot.port = message.port;
        }
      }),
      this.#on<CheckoutMessage>('tracing:usingpg:checkout:end', (message) => {
        if (!message.waited) return;
        this.#waiting.set(message, performance.now());
        this.#observer?.queueChanged(this.#waiting.size);
      }),
      this.#on<CheckoutMessage>('tracing:usingpg:checkout:asyncEnd', (message) => {
        if (this.#waiting.delete(message)) this.#observer?.queueChanged(this.#waiting.size);
        if (message.error !== undefined) return;
        this.#totals.checkouts++;
        this.#with(message.backendPid, (slot) => {
          this.#enter(slot, 'lent');
        });
      }),
      this.#on<ReturnMessage>('usingpg:return', ({ backendPid }) => {
        this.#with(backendPid, (slot) => {
          this.#enter(slot, 'idle');
        });
      }),
      this.#on<EvictMessage>('usingpg:evict', ({ backendPid }) => {
        this.#with(backendPid, (slot) => this.#remove(slot));
      }),
      this.#on<QueryMessage>('tracing:usingpg:query:start', (message) => {
        this.#with(message.backendPid, (slot) => (slot.running = message));
      }),
      this.#on<QueryMessage>('tracing:usingpg:query:asyncEnd', (message) => {
        this.#with(message.backendPid, (slot) => {
          if (slot.running === message) slot.running = null;
        });
        this.#ended(message);
      }),
    ];
    for (const [channel, handler] of this.#handlers) subscribe(channel, handler);
  }

  /** Ends the watch; what the connections are then is told as if they left it. */
  stop(): void {
    for (const [channel, handler] of this.#handlers) unsubscribe(channel, handler);
    for (const slot of this.#slots) if (slot !== null) this.#leave(slot);
  }

  /** The pool as it is now, with `size` places. */
  picture(size: number): PoolPicture {
    const now = performance.now();
    const places = Math.max(size, this.#slots.length);
    return {
      slots: Array.from({ length: places }, (_, place) => pictureOf(this.#slots[place] ?? null, now)),
      queue: [...this.#waiting.values()].map((since) => Math.round(now - since)),
      statements: this.#statements,
      totals: this.#totals,
    };
  }

  #on<M extends { readonly pool: string | null }>(
    channel: string,
    handle: (message: M) => void,
  ): [string, (message: unknown) => void] {
    return [
      channel,
      (message) => {
        if ((message as M).pool === this.#pool) handle(message as M);
      },
    ];
  }

  /** A connection that begins takes the first place that is free. */
  #place(): Slot {
    const slot: Slot = {
      state: 'connecting',
      pid: null,
      port: null,
      since: performance.now(),
      running: null,
    };
    const free = this.#slots.indexOf(null);
    this.#slots[free === -1 ? this.#slots.length : free] = slot;
    return slot;
  }

  #enter(slot: Slot, state: ConnectionState): void {
    this.#leave(slot);
    slot.state = state;
    slot.since = performance.now();
  }

  #leave(slot: Slot): void {
    this.#observer?.stateLeft(this.#slots.indexOf(slot), slot.state, slot.since, slot.port);
  }

  #remove(slot: Slot): void {
    this.#leave(slot);
    this.#slots[this.#slots.indexOf(slot)] = null;
    while (this.#slots.at(-1) === null) this.#slots.pop();
  }

  #with(pid: number | null, change: (slot: Slot) => void): void {
    const slot = this.#slots.find((one) => one !== null && one.pid !== null && one.pid === pid);
    if (slot != null) change(slot);
  }

  #ended({ backendPid: pid, query, seconds, rowcount, sqlstate, error }: QueryMessage): void {
    const number = ++this.#totals.statements;
    if (error !== undefined) this.#totals.failures++;
    this.#statements.unshift({ number, pid, query, ms: (seconds ?? 0) * 1000, rowcount, sqlstate });
    this.#statements.length = Math.min(this.#statements.length, STATEMENTS_KEPT);
  }
}

function pictureOf(slot: Slot | null, now: number): SlotPicture {
  if (slot === null) return { state: 'empty', pid: null, query: null, ms: 0 };
  const { state, pid, since, running } = slot;
  return { state, pid, query: running?.query ?? null, ms: Math.round(now - since) };
}
