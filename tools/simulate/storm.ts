import { Fleet } from './fleet.js';
import type { Program, Transaction } from './program.js';
import type { ServerModel } from './server.js';

/** A failover as all processes see it at once. Times are in seconds. */
export interface Storm {
  readonly server: ServerModel;
  readonly processes: number;
  /** The size of each pool. */
  readonly size: number;
  readonly numWorkers: number;
  /** For how long nothing accepts connections. */
  readonly outage: number;
  /** The requests of each process in a second. */
  readonly rate: number;
  readonly transaction: Transaction;
  /** The source of the pools' jitter from one that is uniform. */
  readonly jitter: (random: number) => number;
  readonly seed: number;
  /** For how long it is watched after the outage. */
  readonly after: number;
}

/** What was seen. Times are in seconds since the server was back. */
export interface StormReport {
  /** The attempts to connect and the sessions that became ready in each tenth of a second. */
  readonly attempts: readonly number[];
  readonly ready: readonly number[];
  /** The attempts of the worst tenth of a second, per second. */
  readonly peak: number;
  /** When each process had a connection, when all pools were full, and when no request had to wait for them any more. */
  readonly allServed: number;
  readonly allFull: number;
  /** The longest time of a connection start. */
  readonly slowestStart: number;
  readonly dropped: number;
  readonly late: number;
  /** The longest wait of a request that came when the server was back. */
  readonly worstWait: number;
}

/** Seconds in which all pools fill, and those under load before the crash. */
const BEFORE = 10;
const LOADED = 2;

export async function storm(scene: Storm): Promise<StormReport> {
  const { server: model, processes, size, outage, after } = scene;
  const fleet = await Fleet.before(model, scene.seed);
  const { clock, server, outcomes } = fleet;
  const random = (): number => scene.jitter(fleet.random());
  for (let i = 0; i < processes; i++) {
    fleet.add(
      { minSize: size, maxSize: size, numWorkers: scene.numWorkers, maxWaiting: 0, timeout: 30 },
      random,
    );
  }
  await clock.pass(BEFORE);
  for (const program of fleet.programs) fleet.load(program, () => scene.rate, scene.transaction);
  await clock.pass(LOADED);
  server.crash();
  if (outage > 0) await clock.pass(outage);
  server.start();
  server.slowestStart = 0;
  server.dropped = 0;
  const back = clock.now();
  let allServed = Infinity;
  let allFull = Infinity;
  for (let tenth = 0; tenth < after * 10; tenth++) {
    await clock.pass(0.1);
    const now = clock.now() - back;
    if (allServed === Infinity && fleet.programs.every(isServed)) allServed = now;
    if (allFull === Infinity && server.sessions === processes * size) allFull = now;
  }
  return {
    attempts: server.attempts.between(back, back + after),
    ready: server.ready.between(back, back + after),
    peak: server.attempts.peak(back, back + after),
    allServed,
    allFull,
    slowestStart: server.slowestStart,
    dropped: server.dropped,
    late: outcomes.late.total(0, back + after),
    worstWait: Math.max(...outcomes.waits.filter(({ at }) => at >= back).map(({ seconds }) => seconds)),
  };
}

function isServed({ pool }: Program): boolean {
  const { poolSize, requestsWaiting } = pool.stats();
  return poolSize > 0 && requestsWaiting === 0;
}
