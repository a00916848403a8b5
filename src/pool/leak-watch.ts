import { AsyncLocalStorage } from 'node:async_hooks';
import { channels, type LeakMessage } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';

/** A watched checkout. */
export interface WatchedCheckout {
  /** Where it was requested; null if it is not watched. */
  readonly origin: Origin | null;
  /** When it was served, by the watch's clock. */
  readonly since: number;
  /** The process id of its connection's backend. */
  readonly backendPid: number;
  /** Whether it has ended, or was never served. */
  readonly hasEnded: boolean;
}

/** In Bun's engine a function that ends with a call leaves the stack, and a stack that is to begin below it is empty. */
const HAS_TAIL_CALLS = 'bun' in process.versions;

/** The call that has asked for a connection, kept until the connection comes back. */
export class Origin {
  /** Whether the checkout has been reported. */
  isReported = false;
  timer: Timer | null = null;
  /** V8 formats the stack only when it is read, which is the expensive part. */
  readonly #trace: { stack?: string } = {};

  /** The stack begins with the caller of `below`; in Bun there are frames of the library before it. */
  constructor(below: (...args: never[]) => unknown) {
    Error.captureStackTrace(this.#trace, HAS_TAIL_CALLS ? Origin : below);
  }

  /** The stack of the call, one frame per line. */
  get stack(): string {
    return (this.#trace.stack ?? '').split('\n').slice(1).join('\n');
  }

  /** The innermost frame outside of the library. */
  get place(): string {
    const frames = this.stack.split('\n').map((frame) => frame.trim().replace(/^at /, ''));
    const home = ownDirectory();
    return (
      frames.find((frame) => !frame.includes(home)) ??
      // If a bundler has put all code into one file, only the function names identify the library's frames.
      frames.find((frame) => !POOL_FRAME.test(frame)) ??
      'an unknown place'
    );
  }
}

const POOL_FRAME = /^(?:async )?(?:Async\w*Pool\.|#)/;

/** The library's directory as stacks show it: several files in the source, one in the build. */
function ownDirectory(): string {
  const [, here = ''] = new Error().stack!.split('\n');
  return here.replace(/^.*?\(|^\s*at /, '').replace(/(?:[\\/]pool)?[\\/][^\\/]+$/, '/');
}

/**
 * Watches checked-out connections. Reports once each that is not returned after `threshold` seconds, and knows which task holds
 * which connection. A task is everything that runs within `holding()`, including what it calls and awaits.
 */
export class LeakWatch {
  /** Whether checkouts are watched. */
  readonly isOn: boolean;
  readonly #pool: string;
  readonly #threshold: number;
  readonly #clock: Clock;
  readonly #tasks = new AsyncLocalStorage<readonly WatchedCheckout[]>();

  /** `pool` is the pool's name. `threshold` is in seconds; with 0 or Infinity, only garbage-collected connections are reported. */
  constructor(pool: string, threshold: number, clock: Clock) {
    this.isOn = threshold > 0 && Number.isFinite(threshold);
    this.#pool = pool;
    this.#threshold = threshold;
    this.#clock = clock;
  }

  /** Begins watching a checkout. */
  begin(checkout: WatchedCheckout, origin: Origin): void {
    const due = (): void => {
      origin.timer = null;
      this.#report(checkout, false);
    };
    origin.timer = this.#clock.after(this.#threshold, due, false);
  }

  /** Ends watching a checkout. `collected`: the connection was garbage-collected. */
  end(checkout: WatchedCheckout, collected: boolean): void {
    const { origin } = checkout;
    origin?.timer?.cancel();
    if (origin?.isReported === true) channels.leakReturned.publish(this.#message(checkout, collected));
    else if (collected) this.#report(checkout, true);
  }

  /** Runs `task`, which holds the connection. */
  holding<T>(checkout: WatchedCheckout, task: () => T): T {
    return checkout.origin === null ? task() : this.#tasks.run([...this.held, checkout], task);
  }

  /** The checkouts that the current task holds. */
  get held(): readonly WatchedCheckout[] {
    return (this.#tasks.getStore() ?? []).filter(({ hasEnded }) => !hasEnded);
  }

  #report(checkout: WatchedCheckout, collected: boolean): void {
    if (checkout.origin !== null) checkout.origin.isReported = true;
    reportLeak(this.#message(checkout, collected));
  }

  #message({ origin, since, backendPid }: WatchedCheckout, collected: boolean): LeakMessage {
    const seconds = this.#clock.now() - since;
    return { pool: this.#pool, backendPid, seconds, stack: origin?.stack ?? null, collected };
  }
}

/** Publishes a leak and emits the process warning. */
function reportLeak(message: LeakMessage): void {
  const { pool, backendPid, seconds, stack, collected } = message;
  channels.leak.publish(message);
  const what = collected
    ? `was garbage-collected after ${seconds.toFixed(1)} seconds without having been given back; the pool has taken it back`
    : `has been lent out for ${seconds.toFixed(1)} seconds`;
  process.emitWarning(
    `a connection of the pool '${pool}' (backend ${String(backendPid)}) ${what}. Let \`await using\`, withConnection() or a` +
      ` \`finally\` with putconn() give it back.${stack === null ? ' Set `leakThreshold` to learn where it was taken.' : ` It was taken here:\n${stack}`}`,
    { code: 'USINGPG_LEAK' },
  );
}

/** Explains a wait that timed out: the current checkouts, and those held by the waiting task itself. */
export function explainWait(lent: readonly WatchedCheckout[], held: readonly WatchedCheckout[]): string[] {
  const own = lent.filter((checkout) => held.includes(checkout));
  const parts: string[] = [];
  if (own.length > 0) {
    const count =
      own.length < lent.length ? `${String(own.length)} of them` : lent.length === 1 ? 'it' : 'all of them';
    parts.push(
      `the task that waits holds ${count} itself, taken at ${places(own)}: use that connection, or give it back first`,
    );
  }
  const others = lent.filter((checkout) => !own.includes(checkout));
  if (others.length > 0)
    parts.push(`${own.length > 0 ? 'others' : 'those lent out'} were taken at ${places(others)}`);
  return parts;
}

/** Explains a wait during which none of the `lent` connections was returned, while `unused` of them run nothing. */
export function explainStuck(lent: number, unused: number): string {
  const all = lent === 1 ? 'the only connection' : `all ${String(lent)} connections`;
  const which = lent === 1 ? 'it' : unused === lent ? 'one' : 'one of those on which nothing is running';
  return (
    `${all} had been taken before this wait began, and none came back: if the code that waits holds ${which} itself, it waits for` +
    ' itself; let it use that connection, or give it back first'
  );
}

const MOST_PLACES = 3;

function places(taken: readonly WatchedCheckout[]): string {
  const counts = new Map<string, number>();
  for (const { origin } of taken) {
    const place = origin?.place ?? 'an unknown place';
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const told = [...counts]
    .sort(([, one], [, other]) => other - one)
    .slice(0, MOST_PLACES)
    .map(([place, count]) => (count === 1 ? place : `${place} (${String(count)} times)`));
  if (counts.size > MOST_PLACES) told.push(`${String(counts.size - MOST_PLACES)} other places`);
  return told.join(', ');
}
