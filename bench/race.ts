import { alternates, turn } from './turns.js';

/** One way of doing a workload: usingpg or a peer. */
export interface Contender {
  readonly name: string;
  /** Does the work once. May return its duration in milliseconds; otherwise it is timed here. */
  run(): Promise<unknown>;
  /** Whether it is not a client, but the limit that no client can beat. */
  readonly floor?: boolean;
}

/** The targeted ratio of a peer's time to usingpg's. */
export interface Goal {
  readonly peers: readonly string[];
  readonly ratio: number;
}

/** The median and quartiles of some numbers. */
export interface Spread {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface Entry {
  readonly name: string;
  readonly floor: boolean;
  readonly ms: Spread;
  /** The milliseconds of each round. */
  readonly rounds: readonly number[];
  /** Its time divided by usingpg's in the same round; above 1 usingpg is faster. */
  readonly ratio: Spread;
}

/** A workload with its contenders. */
export interface Race {
  readonly kind: 'race';
  readonly workload: string;
  /** The number of operations in `ms`, if the time of one is more informative. */
  readonly operations: number | null;
  readonly goals: readonly Goal[];
  readonly entries: readonly Entry[];
}

/** The contender with which the others are compared. */
export const OURS = 'usingpg';

/** Whether a contender is this library, in any use, rather than a peer. */
export function isOurs(name: string): boolean {
  return name === OURS || name.startsWith(`${OURS}, `);
}

/** The contenders to measure: a comparison of two builds leaves out the peers. */
export function participants<T>(all: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => !alternates || isOurs(name)));
}

export interface RaceOptions {
  readonly goals?: readonly Goal[];
  readonly operations?: number;
}

/** The time limit of one race, so that all of them together take minutes. */
const LIMIT_MS = 10_000;
const FEWEST_ROUNDS = 5;
const WARM_UP_MS = 500;

let fewestWarmUps = 2;
let mostRounds = 11;

/** Reduces the rounds, for work on the benchmarks themselves. */
export function beQuick(): void {
  fewestWarmUps = 1;
  mostRounds = 3;
}

/**
 * Runs the contenders in turn, after warm-up rounds, so that a slow moment of the machine affects all of them and all code is
 * compiled. Each round starts with another contender.
 */
export async function race(
  workload: string,
  all: readonly Contender[],
  { goals = [], operations }: RaceOptions = {},
): Promise<Race> {
  const contenders = all.filter(({ name }) => !alternates || isOurs(name));
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  await warmUp(contenders, fewestWarmUps);
  const end = performance.now() + LIMIT_MS;
  for (let round = 0; round < mostRounds; round++) {
    if (round >= FEWEST_ROUNDS && performance.now() > end) break;
    for (let place = 0; place < contenders.length; place++) {
      const contender = contenders[(place + round) % contenders.length]!;
      times.get(contender.name)?.push(await timed(contender));
    }
  }
  const ours = times.get(OURS) ?? [];
  return {
    kind: 'race',
    workload,
    operations: operations ?? null,
    goals,
    entries: contenders.map(({ name, floor = false }) => {
      const own = times.get(name) ?? [];
      return {
        name,
        floor,
        ms: spread(own),
        rounds: own,
        ratio: spread(own.map((ms, round) => ms / ours[round]!)),
      };
    }),
  };
}

/** Runs what is to be timed for some time, and so many rounds at least: V8 compiles hot code late. */
export async function warmUp(all: readonly Pick<Contender, 'run'>[], fewest = 1): Promise<void> {
  const begun = performance.now();
  for (let round = 0; round < fewest || performance.now() - begun < WARM_UP_MS; round++) {
    for (const one of all) await timed(one);
  }
}

/** Times one run, in milliseconds. */
export async function timed(work: Pick<Contender, 'run'>): Promise<number> {
  await turn();
  // Collects the previous run's garbage. A full collection would also drop the hidden classes of objects that are not alive at the
  // moment, and with them all optimised code, several times in each round.
  globalThis.gc?.({ type: 'minor' });
  const start = performance.now();
  const told = await work.run();
  return typeof told === 'number' ? told : performance.now() - start;
}

/** The ratio reached against a goal's peers: that of the fastest. Null if none of them ran. */
export function reached({ entries }: Race, { peers }: Goal): Entry | null {
  const there = entries.filter(({ name }) => peers.includes(name));
  return there.reduce<Entry | null>(
    (least, entry) => (least === null || entry.ratio.median < least.ratio.median ? entry : least),
    null,
  );
}

export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  return { low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) };
}

function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? NaN;
  return below + ((sorted[Math.ceil(at)] ?? NaN) - below) * (at - Math.floor(at));
}
