import type { Curve } from './findings.js';
import { participants, spread, timed, warmUp } from './race.js';

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
    const contenders = Object.entries(clients).map(([name, work]) => ({ name, run: () => work(size) }));
    await warmUp(contenders);
    for (let round = 0, most = 7; round < most; round++) {
      for (const contender of contenders) {
        const elapsed = await timed(contender);
        if (elapsed > LONG_MS) most = 3;
        times.get(contender.name)!.push(elapsed);
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
