import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errors } from '../../src/index.js';
import { ResourcePool, type Lease } from '../../src/pool/resource-pool.js';
import { FakeClock } from '../support/fake-clock.js';

interface Thing {
  readonly id: number;
  alive: boolean;
  destroyed: boolean;
}

interface Request {
  readonly controller: AbortController;
  state: 'waiting' | 'leased' | 'refused';
  settlements: number;
  lease: Lease<Thing> | null;
  reason: unknown;
}

/** A pool of things, and everything that has happened to it. */
class World {
  readonly clock = new FakeClock();
  readonly making: { resolve: (thing: Thing) => void; reject: (error: Error) => void; aborted: boolean }[] =
    [];
  readonly things: Thing[] = [];
  readonly requests: Request[] = [];
  readonly pool: ResourcePool<Thing>;
  reconnectFailures = 0;
  closing: Promise<void> | null = null;

  readonly keepIdle: boolean;

  constructor(options: {
    minSize: number;
    maxSize: number;
    maxWaiting: number;
    check: boolean;
    keepIdle?: boolean;
  }) {
    this.keepIdle = options.keepIdle ?? true;
    this.pool = new ResourcePool<Thing>(
      {
        create: (signal) =>
          new Promise((resolve, reject) => {
            const attempt = { resolve, reject, aborted: false };
            signal.addEventListener('abort', () => {
              attempt.aborted = true;
              reject(signal.reason as Error);
            });
            this.making.push(attempt);
          }),
        destroy: (thing) => {
          expect(thing.destroyed).toBe(false);
          thing.destroyed = true;
          return Promise.resolve();
        },
        isAlive: (thing) => thing.alive,
        check: options.check
          ? (thing) => (thing.alive ? Promise.resolve() : Promise.reject(new Error('dead')))
          : null,
      },
      {
        name: 'world',
        ...options,
        keepIdle: this.keepIdle,
        maxLifetime: 60,
        maxIdle: 10,
        reconnectTimeout: 8,
        reconnectFailed: () => this.reconnectFailures++,
        numWorkers: 3,
        keepAlive: true,
        clock: this.clock,
        random: () => 0.5,
      },
    );
    this.pool.open();
  }

  acquire(timeout: number): void {
    const request: Request = {
      controller: new AbortController(),
      state: 'waiting',
      settlements: 0,
      lease: null,
      reason: null,
    };
    this.requests.push(request);
    const settle = (lease: Lease<Thing> | null, reason: unknown): void => {
      request.settlements++;
      request.state = lease === null ? 'refused' : 'leased';
      request.lease = lease;
      request.reason = reason;
    };
    const acquired = this.pool.acquire({ timeout, signal: request.controller.signal });
    if (acquired instanceof Promise) {
      acquired.then(
        (lease) => {
          settle(lease, null);
        },
        (reason: unknown) => {
          settle(null, reason);
        },
      );
    } else settle(acquired, null);
  }

  pick<T>(from: readonly T[], at: number): T | undefined {
    return from.length === 0 ? undefined : from[at % from.length];
  }

  get leased(): Request[] {
    return this.requests.filter(({ lease }) => lease !== null);
  }

  finishMaking(at: number, ok: boolean): void {
    const attempt = this.pick(
      this.making.filter(({ aborted }) => !aborted),
      at,
    );
    if (attempt === undefined) return;
    this.making.splice(this.making.indexOf(attempt), 1);
    if (!ok) {
      attempt.reject(new Error('no server'));
      return;
    }
    const thing = { id: this.things.length, alive: true, destroyed: false };
    this.things.push(thing);
    attempt.resolve(thing);
  }

  /** Lets all promises settle that can. */
  async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  check(): void {
    const stats = this.pool.stats();
    const held = this.leased.map(({ lease }) => lease!.resource);
    // No thing has two owners, and none that has ended has one.
    expect(new Set(held).size).toBe(held.length);
    expect(stats.poolSize).toBeGreaterThanOrEqual(held.length + stats.poolAvailable);
    expect(stats.poolAvailable).toBeGreaterThanOrEqual(0);
    expect(this.requests.every(({ settlements }) => settlements <= 1)).toBe(true);
    const living = this.things.filter(({ destroyed }) => !destroyed).length;
    expect(living + this.making.length).toBeLessThanOrEqual(Math.max(this.largest, this.pool.maxSize));
    const waiting = this.requests.filter(({ state }) => state === 'waiting').length;
    if (this.keepIdle) expect(stats.requestsWaiting).toBe(waiting);
    else {
      // Nobody has what nobody wants, and whoever has a thing made for them does not count as waiting.
      expect(stats.poolAvailable).toBe(0);
      expect(living).toBe(held.length);
      expect(stats.requestsWaiting).toBe(
        Math.max(0, waiting - this.making.filter(({ aborted }) => !aborted).length),
      );
    }
    if (this.pool.state === 'open' && waiting > 0) {
      // Whoever waits, waits for something: all are lent out, or one is on its way, or an attempt is to come.
      expect(stats.poolAvailable).toBe(0);
      const onTheWay = this.making.length > 0 || this.clock.pending > waiting;
      expect(onTheWay || living >= this.pool.maxSize).toBe(true);
    }
  }

  largest = 0;
}

type Act = (world: World) => void;

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.integer({ min: 1, max: 20 }).map((timeout): Act => (world) => {
      world.acquire(timeout);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.nat(30).map((at): Act => (world) => {
      world.pick(world.requests, at)?.controller.abort(new Error('aborted'));
    }),
  },
  {
    weight: 5,
    arbitrary: fc
      .record({ at: fc.nat(30), keep: fc.boolean(), twice: fc.boolean() })
      .map(({ at, keep, twice }): Act => (world) => {
        const request = world.pick(world.leased, at);
        if (request?.lease == null) return;
        const { lease } = request;
        request.lease = null;
        expect(keep ? lease.release() : lease.discard()).toBe(true);
        if (twice) expect(lease.release() || lease.discard()).toBe(false);
      }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ at: fc.nat(30), ok: fc.boolean() }).map(({ at, ok }): Act => (world) => {
      world.finishMaking(at, ok);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.nat(30).map((at): Act => (world) => {
      world.finishMaking(at, true);
    }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 0, max: 300 }).map((tenths): Act => (world) => {
      world.clock.advance(tenths / 10);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.nat(30).map((at): Act => (world) => {
      const thing = world.pick(
        world.things.filter(({ destroyed }) => !destroyed),
        at,
      );
      if (thing === undefined) return;
      thing.alive = false;
      world.pool.onLost(thing);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 6 })).map(([min, max]): Act => (world) => {
      world.largest = Math.max(world.largest, world.pool.maxSize, max);
      world.pool.resize(world.keepIdle ? Math.min(min, max) : 0, max);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Act>((world) => {
      world.pool.drain();
    }),
  },
);

describe('the resource pool', () => {
  it('keeps its promises whatever happens to it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          keepIdle: fc.constantFrom(true, true, false),
          minSize: fc.nat(2),
          extra: fc.nat(3),
          maxWaiting: fc.constantFrom(0, 0, 3),
          check: fc.boolean(),
        }),
        fc.array(fc.record({ act, settle: fc.boolean() }), { maxLength: 200 }),
        async ({ keepIdle, minSize: least, extra, maxWaiting, check }, acts) => {
          const minSize = keepIdle ? least : 0;
          const maxSize = Math.max(1, minSize + extra);
          const world = new World({ minSize, maxSize, maxWaiting, check, keepIdle });
          world.largest = world.pool.maxSize;
          await world.settle();
          for (const { act: run, settle } of acts) {
            run(world);
            if (!settle) continue;
            await world.settle();
            world.check();
          }
          await world.settle();
          world.check();
          const closing = world.pool.close(5);
          await world.settle();
          for (const request of world.leased) request.lease?.release();
          await world.settle();
          world.clock.advance(6);
          await closing;
          await world.settle();
          expect(world.requests.every(({ settlements }) => settlements === 1)).toBe(true);
          expect(world.things.filter(({ destroyed }) => !destroyed)).toEqual([]);
          expect(world.clock.pending).toBe(0);
          const stats = world.pool.stats();
          expect([stats.poolSize, stats.requestsWaiting]).toEqual([0, 0]);
          const refused = world.requests.filter(({ state }) => state === 'refused').length;
          expect(stats.requestsErrors).toBe(refused);
          expect(stats.requestsNum).toBe(world.requests.length);
        },
      ),
      { numRuns: 6000, interruptAfterTimeLimit: 45_000, markInterruptAsFailure: false },
    );
  }, 90_000);

  it('replaces what outlives its time, between nine tenths of it and all of it', async () => {
    const clock = new FakeClock();
    const made: number[] = [];
    const ended: number[] = [];
    let seed = 7;
    const pool = new ResourcePool<{ born: number }>(
      {
        create: () => {
          made.push(clock.time);
          return Promise.resolve({ born: clock.time });
        },
        destroy: ({ born }) => {
          ended.push(clock.time - born);
          return Promise.resolve();
        },
        isAlive: () => true,
        check: null,
      },
      {
        name: 'hot',
        keepIdle: true,
        minSize: 100,
        maxSize: 100,
        maxWaiting: 0,
        maxLifetime: 60,
        maxIdle: 0,
        reconnectTimeout: 300,
        reconnectFailed: () => undefined,
        numWorkers: 100,
        keepAlive: true,
        clock,
        random: () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647,
      },
    );
    pool.open();
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await settle();
    for (let i = 0; i < 700; i++) {
      const leases = await Promise.all(Array.from({ length: 100 }, async () => pool.acquire({ timeout: 1 })));
      clock.advance(0.1);
      for (const lease of leases) lease.release();
      await settle();
      await settle();
    }
    expect(ended.length).toBeGreaterThanOrEqual(100);
    expect(Math.min(...ended)).toBeGreaterThanOrEqual(54);
    expect(Math.max(...ended)).toBeLessThanOrEqual(60.2);
    await pool.close(1);
  });

  it('paces its attempts to connect by 1, 2, 4 … seconds, one at a time, and says once when it gives up', async () => {
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
    expect(world.requests[0]!.state).toBe('leased');
    const closing = world.pool.close(1);
    world.leased[0]!.lease!.release();
    await closing;
  });

  it('says in a timeout what it is busy with and why it could not connect', async () => {
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
