import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { errors } from '../../src/index.js';
import { loadPLimit } from '../../src/packages.js';
import { ResourcePool } from '../../src/pool/resource-pool.js';
import type { Checkout } from '../../src/pool/slots.js';
import { keepingStrategy, nullStrategy } from '../../src/pool/resources.js';
import { FakeClock } from '../support/fake-clock.js';

// A pool's first resource would wait for it, in real time.
beforeAll(async () => {
  await loadPLimit();
});

/** The lifetime minus half of the jitter, since the world's random number is constant. */
const LIFETIME = 60 * 0.95;
const CHECK_TIMEOUT = 5;
/** The maximum number of histories, and the limit in milliseconds. */
const [RUNS, LIMIT] = process.env['CI'] === undefined ? [400, 120_000] : [5000, 60_000];

interface Thing {
  /** When the pool received it. */
  born: number;
  readonly generation: number;
  alive: boolean;
  /** How often the world has been given it. */
  uses: number;
  /** Its behaviour when it is checked. */
  mood: 'well' | 'sick' | 'deaf';
  /** Ends its closing; null before closing has begun. */
  ending: (() => void) | null;
  gone: boolean;
}

interface Request {
  readonly controller: AbortController;
  state: 'waiting' | 'lentOut' | 'refused';
  settlements: number;
  checkout: Checkout<Thing> | null;
  reason: unknown;
}

const done = Promise.resolve();

interface WorldOptions {
  readonly minSize: number;
  readonly maxSize: number;
  readonly maxWaiting: number;
  readonly check: boolean;
  /** The number of checkouts after which a thing is closed; 0: no limit. */
  readonly maxUses?: number;
  readonly keepIdle?: boolean;
  /** Whether the closing of a thing waits until the test ends it. */
  readonly slowEnds?: boolean;
  /** Whether a new thing must be prepared; if 'deaf', an abort does not end that. */
  readonly prepares?: boolean | 'deaf';
}

/** A pool of things, and their history. */
class World {
  readonly clock = new FakeClock();
  readonly making: {
    readonly generation: number;
    readonly resolve: (thing: Thing) => void;
    readonly reject: (error: Error) => void;
    aborted: boolean;
  }[] = [];
  /** Made, but not received by the pool yet. */
  readonly fresh = new Set<Thing>();
  readonly things: Thing[] = [];
  readonly requests: Request[] = [];
  readonly pool: ResourcePool<Thing>;
  readonly keepIdle: boolean;
  readonly maxUses: number;
  readonly checking = new Set<Thing>();
  /** Made, but not ready: how to make each ready, or make its preparation fail. */
  readonly preparing = new Map<Thing, (error: Error | null) => void>();
  reconnectFailures = 0;
  attempts = 0;
  failures = 0;
  generation = 0;
  /** Whether the pool has lost a thing since it was last given one; not known until both have settled. */
  suspect = false;
  answered = false;
  /** The attempts made while the pool knew of a loss. */
  suspectAttempts = 0;
  /** Those of them that were made beside another one. */
  hasty = 0;
  /** The largest size allowed so far, since things from that time may still exist. */
  largest: number;
  closing: Promise<void> | null = null;

  constructor(options: WorldOptions) {
    this.keepIdle = options.keepIdle ?? true;
    this.maxUses = options.maxUses ? options.maxUses : Infinity;
    this.largest = options.maxSize;
    this.pool = new ResourcePool<Thing>(
      {
        create: (signal) =>
          new Promise((resolve, reject) => {
            this.attempts++;
            if (this.keepIdle && this.suspect) {
              this.suspectAttempts++;
              if (this.making.some(({ aborted }) => !aborted) || this.preparing.size > 0) this.hasty++;
            }
            const attempt = { generation: this.generation, resolve, reject, aborted: false };
            signal.addEventListener('abort', () => {
              attempt.aborted = true;
              if (this.making.includes(attempt)) this.failures++;
              reject(signal.reason as Error);
            });
            this.making.push(attempt);
          }),
        prepare: (thing, signal) => (options.prepares ? this.prepare(thing, signal, options.prepares) : done),
        destroy: (thing) => {
          expect(thing.ending).toBeNull();
          this.preparing.delete(thing);
          return new Promise((resolve) => {
            thing.ending = () => {
              thing.gone = true;
              resolve();
            };
            if (options.slowEnds !== true || thing.gone) thing.ending();
          });
        },
        abandon: (thing) => {
          thing.alive = false;
          thing.gone = true;
          thing.ending?.();
        },
        isAlive: (thing) => thing.alive,
        check: options.check ? (thing) => this.ask(thing) : null,
      },
      {
        name: 'world',
        strategy: this.keepIdle ? keepingStrategy : nullStrategy,
        maxUses: 0,
        ...options,
        maxLifetime: 60,
        maxIdle: 10,
        checkAfter: 0.5,
        checkTimeout: CHECK_TIMEOUT,
        reconnectTimeout: 8,
        reconnectFailed: () => this.reconnectFailures++,
        ending: (_thing, reason) => {
          if (reason === 'lost') this.suspect = !this.answered;
        },
        numWorkers: 3,
        keepAlive: true,
        clock: this.clock,
        random: () => 0.5,
      },
    );
    this.pool.open();
  }

  /** The user's preparation of a new thing, which the test ends. */
  prepare(thing: Thing, signal: AbortSignal, how: true | 'deaf'): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error: Error | null): void => {
        this.preparing.delete(thing);
        if (error === null) {
          thing.born = this.clock.time;
          this.fresh.add(thing);
          this.suspect = false;
          this.answered = true;
          resolve();
        } else {
          this.failures++;
          reject(error);
        }
      };
      this.preparing.set(thing, end);
      if (how === 'deaf') return;
      signal.addEventListener('abort', () => {
        // It is being closed, ready or not.
        if (this.preparing.has(thing) || thing.ending !== null) end(signal.reason as Error);
      });
    });
  }

  /** A check, which a deaf thing never answers. */
  async ask(thing: Thing): Promise<void> {
    // A thing is never checked while it is lent.
    expect(this.checking.has(thing)).toBe(false);
    expect(this.held).not.toContain(thing);
    this.checking.add(thing);
    try {
      await (thing.mood === 'deaf' ? new Promise(() => undefined) : Promise.resolve());
    } finally {
      this.checking.delete(thing);
    }
    if (thing.mood === 'sick' || !thing.alive) throw new Error('unwell');
  }

  acquire(timeout: number): void {
    const request: Request = {
      controller: new AbortController(),
      state: 'waiting',
      settlements: 0,
      checkout: null,
      reason: null,
    };
    this.requests.push(request);
    const settle = (checkout: Checkout<Thing> | null, reason: unknown): void => {
      request.settlements++;
      request.state = checkout === null ? 'refused' : 'lentOut';
      request.checkout = checkout;
      request.reason = reason;
      if (checkout !== null) expect(++checkout.resource.uses).toBeLessThanOrEqual(this.maxUses);
    };
    const wasOpen = this.pool.state === 'open';
    const acquired = this.pool.acquire({ timeout, signal: request.controller.signal });
    if (acquired instanceof Promise) {
      acquired.then(
        (checkout) => {
          settle(checkout, null);
        },
        (reason: unknown) => {
          settle(null, reason);
          if (!wasOpen) expect(reason).toBeInstanceOf(errors.PoolClosed);
        },
      );
      return;
    }
    const { resource } = acquired;
    // A thing lent without a check must be usable, and the pool open.
    expect(wasOpen).toBe(true);
    expect([resource.alive, resource.ending, resource.generation]).toEqual([true, null, this.generation]);
    expect(this.clock.time - resource.born).toBeLessThan(LIFETIME);
    settle(acquired, null);
  }

  pick<T>(from: readonly T[], at: number): T | undefined {
    return from.length === 0 ? undefined : from[at % from.length];
  }

  get lentOut(): Request[] {
    return this.requests.filter(({ checkout }) => checkout !== null);
  }

  /** The lent things, except those that a closed pool has ended. */
  get held(): Thing[] {
    return this.lentOut.map(({ checkout }) => checkout!.resource).filter(({ ending }) => ending === null);
  }

  /** The things whose closing has not begun. */
  get living(): Thing[] {
    return this.things.filter(({ ending, gone }) => ending === null && !gone);
  }

  finishMaking(at: number, ok: boolean): void {
    const attempt = this.pick(
      this.making.filter(({ aborted }) => !aborted),
      at,
    );
    if (attempt === undefined) return;
    this.making.splice(this.making.indexOf(attempt), 1);
    if (!ok) {
      this.failures++;
      attempt.reject(new Error('no server'));
      return;
    }
    const { generation } = attempt;
    const born = this.clock.time;
    const thing: Thing = {
      born,
      generation,
      alive: true,
      uses: 0,
      mood: 'well',
      ending: null,
      gone: false,
    };
    this.things.push(thing);
    this.fresh.add(thing);
    this.suspect = false;
    this.answered = true;
    attempt.resolve(thing);
  }

  /** Lets all promises settle that can. */
  async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    this.fresh.clear();
    this.answered = false;
  }

  pass(seconds: number): void {
    this.clock.advance(seconds);
    for (const thing of this.fresh) thing.born = this.clock.time;
  }

  /** Checks the invariants that always hold. */
  checkNow(): void {
    const { held, living } = this;
    // No thing has two owners.
    expect(new Set(held).size).toBe(held.length);
    expect(this.requests.every(({ settlements }) => settlements <= 1)).toBe(true);
    // Never more than allowed, including those being made or closed.
    const making = this.making.filter(({ aborted }) => !aborted).length;
    const there = this.things.filter(({ gone }) => !gone).length;
    expect(there + making).toBeLessThanOrEqual(this.largest);
    const stats = this.pool.stats();
    expect(stats.poolAvailable).toBeGreaterThanOrEqual(0);
    expect(stats.poolAvailable + held.length).toBeLessThanOrEqual(living.length);
    expect(stats.poolSize).toBeGreaterThanOrEqual(held.length + stats.poolAvailable);
    // A server that may be gone gets one attempt at a time.
    expect(this.hasty).toBe(0);
  }

  /** Checks the invariants that hold once everything has settled. */
  check(): void {
    this.checkNow();
    const stats = this.pool.stats();
    const { held, living } = this;
    const free = living.filter(
      (thing) => !held.includes(thing) && !this.checking.has(thing) && !this.preparing.has(thing),
    );
    const isOpen = this.pool.state === 'open';
    // Every living thing is lent, being checked, or idle; and an idle one is usable.
    expect(stats.poolAvailable).toBe(free.length);
    for (const thing of free) {
      expect(isOpen).toBe(true);
      expect(thing.generation).toBe(this.generation);
      expect(this.clock.time - thing.born).toBeLessThan(LIFETIME);
      expect(thing.uses).toBeLessThan(this.maxUses);
    }
    const waiting = this.requests.filter(({ state }) => state === 'waiting').length;
    if (!this.keepIdle) {
      // A pool that keeps none has no idle things.
      expect(stats.poolAvailable).toBe(0);
      const checked = living.filter((thing) => this.checking.has(thing));
      const preparing = living.filter((thing) => this.preparing.has(thing));
      expect(living.length).toBe(held.length + checked.length + preparing.length);
    }
    // In a null pool, a request whose thing is being made does not wait.
    const making = this.keepIdle
      ? 0
      : this.making.filter(({ aborted }) => !aborted).length + this.preparing.size;
    expect(stats.requestsWaiting).toBeLessThanOrEqual(
      this.keepIdle ? waiting : Math.max(this.checking.size, waiting),
    );
    expect(stats.requestsWaiting).toBeGreaterThanOrEqual(waiting - making);
    // A request whose thing is being checked waits for that alone.
    if (!isOpen) expect(stats.requestsWaiting).toBe(0);
    else if (stats.requestsWaiting > this.checking.size) {
      // A waiter has a reason to wait: all are lent, one is in preparation, or an attempt is pending.
      expect(stats.poolAvailable).toBe(0);
      const there = this.things.filter(({ gone }) => !gone).length;
      const onTheWay = this.making.length + this.preparing.size > 0 || this.clock.pending > waiting;
      expect(onTheWay || there >= this.pool.maxSize).toBe(true);
    }
  }
}

interface Act {
  readonly name: string;
  [fc.toStringMethod](): string;
  run(world: World): void;
}

const at = fc.nat(30);

function act<T>(
  weight: number,
  name: string,
  values: fc.Arbitrary<T>,
  run: (world: World, value: T) => void,
): { weight: number; arbitrary: fc.Arbitrary<Act> } {
  const arbitrary = values.map((value): Act => ({
    name,
    [fc.toStringMethod]: () => `${name} ${JSON.stringify(value)}`,
    run: (world) => {
      run(world, value);
    },
  }));
  return { weight, arbitrary };
}

const anyAct = fc.oneof(
  act(60, 'acquire', fc.integer({ min: 1, max: 20 }), (world, timeout) => {
    world.acquire(timeout);
  }),
  act(20, 'abort', at, (world, which) => {
    world.pick(world.requests, which)?.controller.abort(new Error('aborted'));
  }),
  act(
    60,
    'give back',
    fc.record({ which: at, keep: fc.boolean(), twice: fc.boolean() }),
    (world, { which, keep, twice }) => {
      const request = world.pick(world.lentOut, which);
      if (request?.checkout == null) return;
      const { checkout } = request;
      request.checkout = null;
      const wasHeld = checkout.resource.ending === null;
      const { pool } = world;
      expect(keep ? pool.release(checkout) : pool.discard(checkout)).toBe(wasHeld);
      if (twice) expect(pool.release(checkout) || pool.discard(checkout)).toBe(false);
    },
  ),
  act(50, 'connect', at, (world, which) => {
    world.finishMaking(which, true);
  }),
  act(15, 'fail to connect', at, (world, which) => {
    world.finishMaking(which, false);
  }),
  act(25, 'prepare', fc.record({ which: at, ok: fc.boolean() }), (world, { which, ok }) => {
    world.pick([...world.preparing.values()], which)?.(ok ? null : new Error('not prepared'));
  }),
  act(40, 'let time pass', fc.integer({ min: 0, max: 300 }), (world, tenths) => {
    world.pass(tenths / 10);
  }),
  act(20, 'lose', at, (world, which) => {
    const thing = world.pick(world.living, which);
    if (thing === undefined) return;
    thing.alive = false;
    world.pool.onLost(thing);
  }),
  act(15, 'sicken', fc.record({ which: at, deaf: fc.boolean() }), (world, { which, deaf }) => {
    const thing = world.pick(world.living, which);
    if (thing !== undefined) thing.mood = deaf ? 'deaf' : 'sick';
  }),
  act(30, 'let one end', at, (world, which) => {
    world
      .pick(
        world.things.filter(({ ending, gone }) => ending !== null && !gone),
        which,
      )
      ?.ending?.();
  }),
  act(
    10,
    'resize',
    fc.tuple(fc.nat(3), fc.constantFrom(0, 1, 2, 3, 4, 5, 6, Infinity)),
    (world, [min, max]) => {
      world.largest = Math.max(world.largest, max);
      world.pool.resize(world.keepIdle ? Math.min(min, max) : 0, max);
    },
  ),
  act(10, 'drain', fc.constant(null), (world) => {
    world.generation++;
    world.pool.drain();
  }),
  act(5, 'check all', fc.constant(null), (world) => {
    void world.pool.checkIdle((thing) => world.ask(thing));
  }),
  act(1, 'close', fc.integer({ min: 0, max: 8 }), (world, timeout) => {
    world.closing ??= world.pool.close(timeout);
  }),
);

describe('the resource pool', () => {
  // Promises 1 to 6 of the pool's core, for any order of events: never more than `maxSize`, no two owners, no forgotten waiter,
  // nothing lost by aborts and timeouts, nothing left after close.
  it('keeps its promises for any order of events', async () => {
    const counts = new Map<string, number>();
    let checks = 0;
    let suspectAttempts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          keepIdle: fc.constantFrom(true, true, false),
          minSize: fc.nat(2),
          extra: fc.nat(3),
          maxWaiting: fc.constantFrom(0, 0, 3),
          check: fc.boolean(),
          maxUses: fc.constantFrom(0, 0, 1, 2, 5),
          slowEnds: fc.boolean(),
          prepares: fc.constantFrom<(boolean | 'deaf')[]>(false, false, true, 'deaf'),
          unlimited: fc.boolean(),
        }),
        fc.array(fc.record({ act: anyAct, settle: fc.boolean() }), { maxLength: 200, size: 'max' }),
        async ({ minSize: least, extra, unlimited, ...options }, acts) => {
          const minSize = options.keepIdle ? least : 0;
          // A pool that keeps none may be unlimited.
          const maxSize = unlimited && !options.keepIdle ? Infinity : Math.max(1, minSize + extra);
          const world = new World({ minSize, maxSize, ...options });
          await world.settle();
          for (const { act: next, settle } of acts) {
            next.run(world);
            counts.set(next.name, (counts.get(next.name) ?? 0) + 1);
            world.checkNow();
            if (!settle) continue;
            await world.settle();
            world.check();
            checks++;
          }
          await world.settle();
          world.check();
          const closing = Promise.all([world.closing, world.pool.close(5)]);
          await world.settle();
          for (const { checkout } of world.lentOut) world.pool.release(checkout!);
          // Checks time out, then closings that do not end are dropped.
          for (let i = 0; i < 4; i++) {
            world.clock.advance(8);
            await world.settle();
            for (const { checkout } of world.lentOut) world.pool.release(checkout!);
          }
          await closing;
          await world.settle();
          expect(world.requests.every(({ settlements }) => settlements === 1)).toBe(true);
          expect(world.things.filter(({ gone }) => !gone)).toEqual([]);
          expect(world.clock.pending).toBe(0);
          const stats = world.pool.stats();
          expect([stats.poolSize, stats.requestsWaiting]).toEqual([0, 0]);
          const refused = world.requests.filter(({ state }) => state === 'refused').length;
          expect(stats.requestsErrors).toBe(refused);
          expect(stats.requestsNum).toBe(world.requests.length);
          expect([stats.connectionsNum, stats.connectionsErrors]).toEqual([world.attempts, world.failures]);
          suspectAttempts += world.suspectAttempts;
        },
      ),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT, markInterruptAsFailure: false },
    );
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThanOrEqual(10_000);
    expect(checks).toBeGreaterThanOrEqual(5000);
    expect(suspectAttempts).toBeGreaterThanOrEqual(50);
    for (const [name, count] of counts) expect(count, name).toBeGreaterThanOrEqual(20);
    expect(counts.size).toBe(14);
  }, 300_000);

  it('paces its attempts to connect by 1, 2, 4 … seconds, one at a time, and calls reconnectFailed once', async () => {
    const world = new World({ minSize: 3, maxSize: 3, maxWaiting: 0, check: false });
    await world.settle();
    expect(world.making).toHaveLength(3);
    while (world.making.length > 0) world.finishMaking(0, false);
    await world.settle();
    const attempts: number[] = [];
    for (let tick = 0; tick < 200; tick++) {
      world.clock.advance(0.1);
      await world.settle();
      expect(world.making.length).toBeLessThanOrEqual(1);
      if (world.making.length === 0) continue;
      attempts.push(Math.round(world.clock.time));
      world.finishMaking(0, false);
      await world.settle();
    }
    expect(attempts).toEqual([1, 3, 7, 8]);
    expect(world.reconnectFailures).toBe(1);
    world.acquire(100);
    await world.settle();
    expect(world.making.length).toBeGreaterThan(0);
    while (world.requests[0]!.state === 'waiting') {
      world.finishMaking(0, true);
      await world.settle();
    }
    expect(world.requests[0]!.state).toBe('lentOut');
    const closing = world.pool.close(1);
    world.pool.release(world.lentOut[0]!.checkout!);
    await closing;
  });

  it('reports in a timeout what is lent and why it could not connect', async () => {
    const world = new World({ minSize: 0, maxSize: 1, maxWaiting: 0, check: false });
    world.acquire(2);
    await world.settle();
    world.finishMaking(0, false);
    await world.settle();
    world.clock.advance(0.5);
    world.clock.advance(2);
    await world.settle();
    const { reason } = world.requests[0]!;
    expect(reason).toBeInstanceOf(errors.PoolTimeout);
    expect((reason as Error).message).toMatch(/'world' within 2 seconds .*no server/);
    expect((reason as Error).cause).toHaveProperty('message', 'no server');
    await world.pool.close(0);
  });
});
