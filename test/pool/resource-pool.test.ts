import { setImmediate as settle } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { errors } from '../../src/index.js';
import { loadPLimit } from '../../src/packages.js';
import { ResourcePool, type ResourcePoolOptions } from '../../src/pool/resource-pool.js';
import type { Checkout } from '../../src/pool/slots.js';
import { keepingStrategy, nullStrategy } from '../../src/pool/resources.js';
import { FakeClock } from '../support/fake-clock.js';

// A pool's first resource would wait for it, in real time.
beforeAll(async () => {
  await loadPLimit();
});

interface Thing {
  readonly born: number;
}

/** A fraction of a second whose multiples are exact, so that a job of a second ends on time. */
const STEP = 1 / 16;

/** A pool of resources that are made at once, unless `refusing`, and their history. */
class World {
  readonly clock = new FakeClock();
  readonly pool: ResourcePool<Thing>;
  refusing = false;
  /** Whether attempts never end. */
  hanging = false;
  /** Whether resources do not close until they are dropped. */
  stuck = false;
  /** Whether checks are never answered. */
  silent = false;
  readonly #living = new Map<Thing, () => void>();
  /** The times of attempts. */
  readonly attempts: number[] = [];
  /** The ages of closed resources. */
  readonly ages: number[] = [];
  /** The times at which resources were closed. */
  readonly ends: number[] = [];
  gaveUp = 0;
  /** The number of checks. */
  checks = 0;

  constructor({
    makingTakes = 0,
    isChecked = false,
    ...options
  }: Partial<ResourcePoolOptions<Thing>> & { makingTakes?: number; isChecked?: boolean }) {
    this.pool = new ResourcePool<Thing>(
      {
        create: async (signal) => {
          this.attempts.push(this.clock.time);
          if (this.refusing) throw new Error('connection refused');
          await new Promise<void>((resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason as Error);
            });
            if (makingTakes > 0) this.clock.after(makingTakes, resolve);
            else if (!this.hanging) resolve();
          });
          const thing = { born: this.clock.time };
          this.#living.set(thing, () => undefined);
          return thing;
        },
        destroy: (thing) => {
          this.ages.push(this.clock.time - thing.born);
          this.ends.push(this.clock.time);
          return new Promise((resolve) => {
            this.#living.set(thing, resolve);
            if (!this.stuck) this.#drop(thing);
          });
        },
        abandon: (thing) => {
          this.#drop(thing);
        },
        isAlive: () => true,
        check: isChecked
          ? () => {
              this.checks++;
              return this.silent ? new Promise(() => undefined) : Promise.resolve();
            }
          : null,
      },
      {
        name: 'world',
        minSize: 10,
        maxSize: 10,
        strategy: keepingStrategy,
        maxWaiting: 0,
        maxLifetime: 0,
        maxUses: 0,
        maxIdle: 0,
        checkAfter: 0.5,
        checkTimeout: 5,
        reconnectTimeout: 300,
        reconnectFailed: () => this.gaveUp++,
        numWorkers: 3,
        keepAlive: true,
        clock: this.clock,
        random: seeded(),
        ...options,
      },
    );
    this.pool.open();
  }

  /** The number of existing resources. */
  get living(): number {
    return this.#living.size;
  }

  #drop(thing: Thing): void {
    this.#living.get(thing)?.();
    this.#living.delete(thing);
  }

  /** Loses the idle resources. */
  loseIdle(): void {
    for (const thing of [...this.#living.keys()]) this.pool.onLost(thing);
  }

  /** Lets time pass in steps, between which all promises settle. */
  async pass(seconds: number, step: number, between?: () => void): Promise<void> {
    for (let i = 0; i < Math.round(seconds / step); i++) {
      between?.();
      this.clock.advance(step);
      await settle();
    }
  }
}

/** Pseudo-random numbers from 0 to 1, always the same. */
function seeded(): () => number {
  let seed = 7;
  return () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
}

// Promise 8: a saturated pool stays stable.
describe('a pool with more requests than it can serve', () => {
  it('works at its capacity, and recovers when the load decreases', async () => {
    const { clock, pool, pass } = bound(new World({}));
    await settle();
    let done = 0;
    let late = 0;
    /** A job of one second. */
    const job = async (): Promise<void> => {
      try {
        const checkout = await pool.acquire({ timeout: 2 });
        clock.after(1, () => {
          done++;
          pool.release(checkout);
        });
      } catch (error) {
        expect(error).toBeInstanceOf(errors.PoolTimeout);
        late++;
      }
    };
    const offer = async (perSecond: number, seconds: number): Promise<{ done: number; late: number }> => {
      const before = { done, late };
      let owed = 0;
      await pass(seconds, STEP, () => {
        for (owed += perSecond * STEP; owed >= 1; owed--) void job();
      });
      return { done: done - before.done, late: late - before.late };
    };
    await offer(12, 10);
    const saturated = await offer(12, 60);
    expect(saturated.done / 60).toBeGreaterThanOrEqual(9.8);
    expect(saturated.done / 60).toBeLessThanOrEqual(10.2);
    expect(saturated.late).toBeGreaterThan(0);
    // At its capacity, no new request times out.
    await offer(10, 5);
    const full = await offer(10, 60);
    expect(full).toEqual({ done: 600, late: 0 });
    // Below it, the queue empties.
    await offer(9, 30);
    expect(pool.stats().requestsWaiting).toBe(0);
    await pass(5, STEP);
    expect(pool.stats()).toMatchObject({
      poolSize: 10,
      poolAvailable: 10,
      requestsWaiting: 0,
      connectionsNum: 10,
    });
    await pool.close(1);
  });
});

describe('checking idle resources', () => {
  it('is omitted within checkAfter of their last use, unless the machine slept meanwhile', async () => {
    const world = new World({ minSize: 1, maxSize: 1, isChecked: true, checkAfter: 60 });
    const { clock, pool } = world;
    await settle();
    const use = async (): Promise<number> => {
      pool.release(await pool.acquire({ timeout: 1 }));
      return world.checks;
    };
    expect(await use()).toBe(0);
    clock.advance(59);
    expect(await use()).toBe(0);
    clock.advance(59);
    expect(await use()).toBe(0);
    clock.advance(60);
    expect(await use()).toBe(1);
    expect(await use()).toBe(1);
    // The clock stood still while the machine slept.
    clock.ahead += 60;
    expect(await use()).toBe(2);
    expect(await use()).toBe(2);
    // A clock that was set back causes no check.
    clock.ahead -= 3600;
    expect(await use()).toBe(2);
    await pool.close(0);
  });

  it('does not block requests while resources wait for their check', async () => {
    const world = new World({ minSize: 2, maxSize: 3, numWorkers: 1 });
    const { pool } = world;
    await settle();
    let asked = 0;
    // The first check is never answered; the other resource waits for its turn.
    void pool.checkIdle(() => {
      asked++;
      return new Promise(() => undefined);
    });
    await settle();
    expect([asked, pool.stats().poolAvailable]).toEqual([1, 1]);
    const next = pool.acquire({ timeout: 1 });
    expect(next).not.toBeInstanceOf(Promise);
    // All resources are lent or being checked, so another is made, although the checks occupy the worker.
    const another = await pool.acquire({ timeout: 1 });
    expect(world.living).toBe(3);
    pool.release(await next);
    pool.release(another);
    await world.pass(20, STEP);
    expect(pool.stats()).toMatchObject({ connectionsLost: 2 });
    await pool.close(0);
  });

  it('is done side by side after one that failed, so that a request waits for one of them at most', async () => {
    const world = new World({ minSize: 6, maxSize: 6, isChecked: true, checkTimeout: 5 });
    const { clock, pool } = world;
    await settle();
    clock.advance(1);
    world.silent = true;
    const request = pool.acquire({ timeout: 60 });
    await world.pass(4, STEP);
    expect(world.checks).toBe(1);
    expect(pool.stats().requestsWaiting).toBe(1);
    await world.pass(2, STEP);
    expect(world.checks).toBe(6);
    const checkout = await request;
    expect(pool.stats().requestsWaiting).toBe(0);
    expect(checkout.resource.born).toBeGreaterThan(1);
    expect(world.attempts).toHaveLength(7);
    await world.pass(5, STEP);
    expect(pool.stats()).toMatchObject({ connectionsLost: 6 });
    pool.release(checkout);
    await pool.close(0);
  });

  it('leaves the resources that answer after one that failed', async () => {
    const world = new World({ minSize: 3, maxSize: 3, isChecked: true, checkTimeout: 5 });
    const { clock, pool } = world;
    await settle();
    clock.advance(1);
    world.silent = true;
    world.hanging = true;
    const request = pool.acquire({ timeout: 60 });
    await settle();
    world.silent = false;
    await world.pass(6, STEP);
    const checkout = await request;
    expect(checkout.resource.born).toBe(0);
    expect(world.checks).toBe(3);
    expect(pool.stats()).toMatchObject({ connectionsLost: 1, poolLent: 1, poolAvailable: 1 });
    pool.release(checkout);
    await pool.close(0);
  });

  it('checks each of more resources than workers once, and replaces those that fail', async () => {
    const world = new World({ minSize: 8, maxSize: 8, numWorkers: 3 });
    await settle();
    const asked = new Set<Thing>();
    let most = 0;
    let asking = 0;
    await world.pool.checkIdle(async (thing) => {
      most = Math.max(most, ++asking);
      asked.add(thing);
      await settle();
      asking--;
      if (asked.size % 2 === 0) throw new Error('sick');
    });
    expect([asked.size, most]).toEqual([8, 3]);
    await settle();
    const { connectionsLost, poolAvailable } = world.pool.stats();
    expect(connectionsLost).toBeGreaterThan(0);
    expect(poolAvailable).toBe(8);
    await world.pool.close(0);
  });
});

// Promise 21: attempts to connect are paced.
describe('a pool whose server refuses connections', () => {
  it.each([
    ['least', 0],
    ['most', 1],
  ])('waits 1, 2, 4 … seconds between attempts, varied by one tenth at %s', async (_which, random) => {
    const world = new World({ minSize: 3, maxSize: 3, random: () => random });
    world.refusing = true;
    await settle();
    const first = random === 0 ? 0.9 : 1.1;
    await world.pass(60, 0.05);
    // The pool's initial attempts are made together.
    expect(world.attempts.slice(0, 3)).toEqual([0, 0, 0]);
    const gaps = world.attempts.slice(3).map((at, i, all) => at - (i === 0 ? 0 : all[i - 1]!));
    // The clock advances in steps of 0.05 seconds.
    for (const [i, gap] of gaps.entries()) expect(Math.abs(gap - first * 2 ** i)).toBeLessThan(0.1);
    expect(gaps).toHaveLength(random === 0 ? 6 : 5);
    expect(world.attempts.length).toBeLessThanOrEqual(10);
    expect(world.gaveUp).toBe(0);
    await world.pool.close(0);
    expect(world.clock.pending).toBe(0);
  });

  it('tries every second while a request waits, from its arrival, and slowly again afterwards', async () => {
    const world = new World({ minSize: 1, maxSize: 1, random: () => 0.5 });
    world.refusing = true;
    await settle();
    await world.pass(8, STEP);
    expect(world.attempts).toEqual([0, 1, 3, 7]);
    // The next attempt would be at 15 seconds.
    const waiting = world.pool.acquire({ timeout: 2.5 });
    await Promise.all([expect(waiting).rejects.toBeInstanceOf(errors.PoolTimeout), world.pass(20, STEP)]);
    expect(world.attempts.map(Math.round)).toEqual([0, 1, 3, 7, 8, 9, 10, 11, 27]);
    world.refusing = false;
    const late = world.pool.acquire({ timeout: 5 });
    await world.pass(1, STEP);
    world.pool.release(await late);
    await world.pool.close(0);
  });

  it('calls reconnectFailed once when reconnectTimeout has passed, and connects at the next request', async () => {
    const world = new World({ minSize: 2, maxSize: 2, reconnectTimeout: 20 });
    world.refusing = true;
    await settle();
    await world.pass(120, 0.1);
    expect(world.gaveUp).toBe(1);
    expect(Math.max(...world.attempts)).toBeLessThanOrEqual(20.2);
    const { length } = world.attempts;
    world.refusing = false;
    const checkout = await world.pool.acquire({ timeout: 5 });
    expect(world.attempts.length).toBeGreaterThan(length);
    world.pool.release(checkout);
    await settle();
    expect(world.pool.stats().poolSize).toBe(2);
    await world.pool.close(0);
  });

  it('is tried once with reconnectTimeout 0: waiting requests reject with the error, and reconnectFailed is called once', async () => {
    const world = new World({ minSize: 4, maxSize: 4, numWorkers: 2, reconnectTimeout: 0 });
    const { pool } = world;
    world.refusing = true;
    const waiting = Promise.allSettled([
      ...[1, 2, 3].map(async () => pool.acquire({ timeout: 60 })),
      pool.waitReady(60),
    ]);
    const reasons = (await waiting).map((result) => (result as PromiseRejectedResult).reason as errors.Error);
    for (const reason of reasons) {
      expect(reason).toBeInstanceOf(errors.PoolTimeout);
      expect(reason.cause).toHaveProperty('message', 'connection refused');
    }
    expect(world.clock.time).toBe(0);
    expect([world.attempts.length, world.gaveUp, world.clock.pending]).toEqual([2, 1, 0]);
    await world.pass(600, 10);
    expect(world.attempts).toHaveLength(2);
    // Each request causes one attempt, on which its outcome depends.
    await expect(pool.acquire({ timeout: 60 })).rejects.toThrow('connection refused');
    expect([world.attempts.length, world.gaveUp]).toEqual([3, 1]);
    world.refusing = false;
    pool.release(await pool.acquire({ timeout: 60 }));
    await settle();
    expect(pool.stats()).toMatchObject({ poolSize: 4, requestsErrors: 4, requestsWaiting: 0 });
    // After the server has answered, the next failure is reported again.
    world.refusing = true;
    world.loseIdle();
    await world.pass(1, STEP);
    expect(world.gaveUp).toBe(2);
    await pool.close(0);
  });

  it('is reported once per outage, however many requests follow', async () => {
    const world = new World({ minSize: 1, maxSize: 1, reconnectTimeout: 5 });
    world.refusing = true;
    for (let i = 0; i < 3; i++) {
      const waiting = expect(world.pool.acquire({ timeout: 12 })).rejects.toBeInstanceOf(errors.PoolTimeout);
      await world.pass(40, STEP);
      await waiting;
    }
    expect(world.gaveUp).toBe(1);
    await world.pool.close(0);
  });

  it('connects at a check() after it had given up, without a request', async () => {
    const world = new World({ minSize: 2, maxSize: 2, reconnectTimeout: 20 });
    world.refusing = true;
    await settle();
    await world.pass(120, 0.1);
    expect(world.gaveUp).toBe(1);
    world.refusing = false;
    await world.pool.checkIdle(() => Promise.resolve());
    await settle();
    expect(world.pool.stats()).toMatchObject({ poolSize: 2, poolAvailable: 2 });
    await world.pool.close(0);
  });
});

// All processes lose their connections at the same moment.
describe('a pool that has lost its resources', () => {
  it('replaces them one at a time, each after a random pause, while no request waits', async () => {
    const world = new World({ minSize: 10, maxSize: 10, random: () => 0.5, makingTakes: STEP });
    await world.pass(1, STEP);
    world.attempts.length = 0;
    world.loseIdle();
    await settle();
    await world.pass(12, STEP);
    expect(world.pool.stats()).toMatchObject({ poolSize: 10, poolAvailable: 10, connectionsLost: 10 });
    // A pause of half a second and the attempt.
    const gaps = world.attempts.map((at, i, all) => at - (i === 0 ? 1 : all[i - 1]!));
    expect(gaps).toEqual([0.5, ...Array.from({ length: 9 }, () => 0.5 + STEP)]);
    await world.pool.close(0);
    expect(world.clock.pending).toBe(0);
  });

  it('replaces all of a large reserve within about ten seconds', async () => {
    const world = new World({ minSize: 100, maxSize: 100, random: () => 0.999 });
    await settle();
    world.loseIdle();
    await world.pass(11, STEP / 8);
    expect(world.pool.stats().poolSize).toBe(100);
    await world.pool.close(0);
  });

  it('connects for a waiting request at once, and for others as soon as that has worked', async () => {
    const world = new World({
      minSize: 10,
      maxSize: 10,
      numWorkers: 3,
      makingTakes: STEP,
      random: () => 0.999,
    });
    await world.pass(1, STEP);
    world.attempts.length = 0;
    world.loseIdle();
    const leases = Array.from({ length: 5 }, async () => world.pool.acquire({ timeout: 5 }));
    await settle();
    expect(world.attempts).toEqual([1]);
    await world.pass(3 * STEP, STEP);
    // One, then as many workers as there are, then the last one.
    expect(world.attempts).toEqual([1, 1 + STEP, 1 + STEP, 1 + STEP, 1 + 2 * STEP]);
    for (const lease of leases) world.pool.release(await lease);
    await world.pool.close(0);
  });

  it.each([
    ['check()', (pool: ResourcePool<Thing>) => void pool.checkIdle(() => Promise.resolve())],
    ['wait()', (pool: ResourcePool<Thing>) => void pool.waitReady(5)],
    [
      'resize()',
      (pool: ResourcePool<Thing>) => {
        pool.resize(10, 12);
      },
    ],
  ])('is filled at once by %s', async (_name, fill) => {
    const world = new World({ minSize: 10, maxSize: 10 });
    await settle();
    world.loseIdle();
    await settle();
    expect(world.pool.stats().poolSize).toBe(0);
    fill(world.pool);
    await settle();
    expect(world.pool.stats()).toMatchObject({ poolSize: 10, poolAvailable: 10 });
    await world.pool.close(0);
  });

  it('is drained at the same pace', async () => {
    const world = new World({ minSize: 4, maxSize: 4, random: () => 0.5 });
    await settle();
    world.pool.drain();
    await settle();
    expect(world.pool.stats().poolSize).toBe(0);
    await world.pass(2.5, STEP);
    expect(world.pool.stats().poolSize).toBe(4);
    await world.pool.close(0);
  });
});

// Promise 26: connections are replaced before the end of their lifetime, and not all at once.
describe('the lifetime of connections', () => {
  const hot = async (maxLifetime: number, seconds: number): Promise<World> => {
    const world = new World({ minSize: 100, maxSize: 100, numWorkers: 100, maxLifetime });
    await settle();
    let leases: Checkout<Thing>[] = [];
    await world.pass(seconds, 0.1, () => {
      for (const checkout of leases) world.pool.release(checkout);
      leases = [];
      for (;;) {
        if (world.pool.stats().poolAvailable === 0) break;
        const checkout = world.pool.acquire({ timeout: 1 });
        if (checkout instanceof Promise) break;
        leases.push(checkout);
      }
    });
    for (const checkout of leases) world.pool.release(checkout);
    return world;
  };

  it('ends between nine tenths and all of maxLifetime, never for many at once, under any load', async () => {
    const world = await hot(60, 61);
    expect(world.ages.length).toBeGreaterThanOrEqual(100);
    expect(Math.min(...world.ages)).toBeGreaterThanOrEqual(54);
    // Each use lasts a tenth of a second.
    expect(Math.max(...world.ages)).toBeLessThanOrEqual(60.2);
    const buckets = new Map<number, number>();
    for (const end of world.ends) {
      const bucket = Math.floor(end / 0.5);
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    }
    const most = [...buckets.values()].sort((a, b) => b - a);
    // If 100 end within six seconds, 8.3 are expected in each half second.
    expect(most[0]).toBeLessThanOrEqual(20);
    expect(most.filter((count) => count > 10).length).toBeLessThanOrEqual(4);
    expect(world.pool.stats().poolSize).toBe(100);
    await world.pool.close(0);
  });

  it.each([0, Infinity])('never ends if it is %s', async (maxLifetime) => {
    const world = await hot(maxLifetime, 20);
    world.clock.advance(1e9);
    await settle();
    const checkout = world.pool.acquire({ timeout: 1 });
    expect(checkout).not.toBeInstanceOf(Promise);
    expect(world.ages).toEqual([]);
    world.pool.release(checkout as Checkout<Thing>);
    await world.pool.close(0);
  });
});

describe('the number of checkouts of a connection', () => {
  const uses = async (world: World, count: number): Promise<Thing[]> => {
    const used: Thing[] = [];
    for (let i = 0; i < count; i++) {
      const checkout = await world.pool.acquire({ timeout: 1 });
      used.push(checkout.resource);
      world.pool.release(checkout);
      await settle();
    }
    return used;
  };

  it('ends with maxUses, when the last borrower returns it, and another takes its place', async () => {
    const world = new World({ minSize: 1, maxSize: 1, maxUses: 3 });
    await settle();
    const used = await uses(world, 7);
    expect(used.map((thing) => used.indexOf(thing))).toEqual([0, 0, 0, 3, 3, 3, 6]);
    expect(world.living).toBe(1);
    expect(world.pool.stats()).toMatchObject({
      poolSize: 1,
      poolAvailable: 1,
      requestsNum: 7,
      requestsErrors: 0,
      connectionsNum: 3,
      connectionsLost: 0,
      returnsBad: 0,
    });
    await world.pool.close(0);
  });

  it('counts the waiters to which a null pool passes a connection on', async () => {
    const world = new World({ minSize: 0, maxSize: 1, maxUses: 2, strategy: nullStrategy });
    const requests = Array.from({ length: 4 }, async () => world.pool.acquire({ timeout: 100 }));
    const used: Thing[] = [];
    for (const request of requests) {
      await settle();
      const checkout = await request;
      used.push(checkout.resource);
      world.pool.release(checkout);
    }
    await settle();
    expect(used.map((thing) => used.indexOf(thing))).toEqual([0, 0, 2, 2]);
    expect(world.living).toBe(0);
    await world.pool.close(0);
  });

  it('has no limit if maxUses is 0', async () => {
    const world = new World({ minSize: 1, maxSize: 1, maxUses: 0 });
    await settle();
    expect(new Set(await uses(world, 100)).size).toBe(1);
    await world.pool.close(0);
  });
});

// Promise 25: close is bounded.
describe('closing a pool', () => {
  it.each([
    ['end at once', false],
    ['do not end', true],
  ])('takes its timeout and a tenth of a second at most, with resources that %s', async (_how, stuck) => {
    const world = new World({ minSize: 2, maxSize: 4, numWorkers: 1 });
    world.stuck = stuck;
    const { pool, clock } = world;
    await settle();
    const [checkout, other] = [await pool.acquire({ timeout: 9 }), await pool.acquire({ timeout: 9 })];
    world.hanging = true;
    const waiting = Promise.allSettled([1, 2, 3].map(async () => pool.acquire({ timeout: 9 })));
    await settle();
    expect(pool.stats()).toMatchObject({ poolSize: 4, poolAvailable: 0, requestsWaiting: 3 });
    // One is lent, one is being closed, one is being made, one waits for a worker.
    pool.discard(other);
    let closedAt = -1;
    const closing = pool.close(3).then(() => (closedAt = clock.time));
    for (const result of await waiting) {
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.PoolClosed);
    }
    expect(clock.time).toBe(0);
    await world.pass(4, STEP);
    await closing;
    expect(closedAt).toBeGreaterThanOrEqual(3);
    expect(closedAt).toBeLessThanOrEqual(3.1 + STEP);
    expect(world.living).toBe(0);
    expect(clock.pending).toBe(0);
    expect(pool.stats()).toMatchObject({ poolSize: 0, poolAvailable: 0, requestsWaiting: 0 });
    expect(pool.release(checkout)).toBe(false);
  });

  it('resolves as soon as everything has been returned', async () => {
    const world = new World({ minSize: 2, maxSize: 2 });
    await settle();
    const checkout = await world.pool.acquire({ timeout: 9 });
    const closing = world.pool.close(3);
    await world.pass(1, STEP);
    world.pool.release(checkout);
    await closing;
    expect(world.clock.time).toBe(1);
    expect([world.living, world.clock.pending]).toEqual([0, 0]);
  });
});

// Promise 36: a checkout of an idle resource costs next to nothing.
describe('a checkout of an idle resource', () => {
  it('does not wait, sets no timer and makes no resource, 10,000 times', async () => {
    const world = new World({});
    await settle();
    const { pending } = world.clock;
    for (let i = 0; i < 10_000; i++) {
      const checkout = world.pool.acquire({ timeout: 30 });
      expect(checkout).not.toBeInstanceOf(Promise);
      expect(world.clock.pending).toBe(pending);
      world.pool.release(checkout as Checkout<Thing>);
    }
    expect(world.attempts).toHaveLength(10);
    expect(world.pool.stats()).toMatchObject({ requestsNum: 10_000, requestsQueued: 0, poolAvailable: 10 });
    await world.pool.close(0);
  });
});

// Promise 37: the statistics are exact.
describe('the statistics', () => {
  it('are exact, each of them', async () => {
    const world = new World({
      random: () => 0,
      minSize: 1,
      maxSize: 2,
      maxWaiting: 2,
      maxIdle: 600,
      makingTakes: 0.25,
    });
    const { pool } = world;
    const zero = {
      usageMs: 0,
      requestsNum: 0,
      requestsQueued: 0,
      requestsWaitMs: 0,
      requestsErrors: 0,
      returnsBad: 0,
      connectionsNum: 0,
      connectionsMs: 0,
      connectionsErrors: 0,
      connectionsLost: 0,
      returnsUncommitted: 0,
    };
    await settle();
    expect(pool.stats()).toEqual({
      poolMin: 1,
      poolMax: 2,
      poolSize: 1,
      poolAvailable: 0,
      poolLent: 0,
      requestsWaiting: 0,
      ...zero,
      connectionsNum: 1,
    });
    await world.pass(0.25, STEP);
    const first = await pool.acquire({ timeout: 1 });
    // The second request waits for a resource being made, the third for one to be returned; the fourth and the fifth wait in
    // vain.
    const second = pool.acquire({ timeout: 9 });
    const third = pool.acquire({ timeout: 9 });
    await expect(pool.acquire({ timeout: 9 })).rejects.toBeInstanceOf(errors.TooManyRequests);
    expect(pool.stats()).toMatchObject({ requestsWaiting: 2, poolSize: 2, poolAvailable: 0, poolLent: 1 });
    await world.pass(0.25, STEP);
    const late = pool.acquire({ timeout: 0.5 });
    const refused = expect(late).rejects.toBeInstanceOf(errors.PoolTimeout);
    await world.pass(0.5, STEP);
    await refused;
    pool.release(first);
    await settle();
    await world.pass(1, STEP);
    pool.release(await second);
    pool.discard(await third);
    await settle();
    expect(pool.stats()).toEqual({
      poolMin: 1,
      poolMax: 2,
      poolSize: 1,
      poolAvailable: 1,
      poolLent: 0,
      requestsWaiting: 0,
      ...zero,
      // 0.75 of the first; 1.5 of the second; 1 of the third.
      usageMs: 3250,
      requestsNum: 5,
      requestsQueued: 3,
      // 0.25 of the second; 0.75 of the third; 0.5 of the last.
      requestsWaitMs: 1500,
      requestsErrors: 2,
      connectionsNum: 2,
      connectionsMs: 500,
    });
    // An idle resource is lost while the server refuses: an attempt is made after a pause, and again after a second.
    world.refusing = true;
    world.loseIdle();
    await world.pass(1.25, STEP);
    expect(pool.popStats()).toMatchObject({
      poolSize: 0,
      connectionsLost: 1,
      connectionsNum: 4,
      connectionsErrors: 2,
      connectionsMs: 500,
    });
    expect(pool.stats()).toEqual({
      poolMin: 1,
      poolMax: 2,
      poolSize: 0,
      poolAvailable: 0,
      poolLent: 0,
      requestsWaiting: 0,
      ...zero,
    });
    await pool.close(0);
  });
});

/** The members of a world for use as functions. */
function bound(world: World): Pick<World, 'clock' | 'pool' | 'pass'> {
  return { clock: world.clock, pool: world.pool, pass: world.pass.bind(world) };
}
