import type { Curve } from './findings.js';
import { participants, spread } from './race.js';
import { turn } from './turns.js';

/** Long work is repeated less often. */
const LONG_MS = 300;

/**
 * Times work of growing size, with the clients in turn: the median of some runs. `each` divides by the size, for quantities that
 * should stay constant.
 */
export async function growth(
  about: Pick<Curve, 'title' | 'x' | 'y' | 'moreIsBetter'>,
  sizes: readonly number[],
  all: Readonly<Record<string, (size: number) => Promise<unknown>>>,
  value: (ms: number, size: number) => number = (ms) => ms,
): Promise<Curve> {
  const clients = participants(all);
  const points = new Map(Object.keys(clients).map((name) => [name, [] as (readonly [number, number])[]]));
  for (const size of sizes) {
    const times = new Map(Object.keys(clients).map((name) => [name, [] as number[]]));
    for (let round = -1, most = 7; round < most; round++) {
      for (const [name, work] of Object.entries(clients)) {
        await turn();
        globalThis.gc?.();
        const start = performance.now();
        await work(size);
        const elapsed = performance.now() - start;
        if (elapsed > LONG_MS) most = 3;
        if (round >= 0) times.get(name)!.push(elapsed);
      }
    }
    for (const [name, own] of times) points.get(name)!.push([size, value(spread(own).median, size)]);
  }
  return {
    kind: 'curve',
    ...about,
    series: [...points].map(([name, own]) => ({ name, points: own })),
  };
}
