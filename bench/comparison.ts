import type { Pair } from './against.js';
import { isOurs, OURS, spread, type Spread } from './race.js';
import type { Finding } from './setting.js';
import { markdown, number, ratio } from './tables.js';

/** The factor by which a line may be slower. */
const TOLERANCE = 1.03;

/** One quantity measured with both builds. */
interface Line {
  readonly name: string;
  readonly unit: string;
  readonly moreIsBetter: boolean;
  /** The measurements in the order of the rounds. */
  readonly values: readonly number[];
}

/** One line over all pairs of processes. */
interface Compared {
  readonly name: string;
  readonly unit: string;
  readonly old: number;
  readonly current: number;
  /** The old build's value divided by this one's in the same round; below 1 this build is worse. */
  readonly ratio: Spread;
  /** The median of each pair of processes. */
  readonly byPair: readonly number[];
}

/** The comparison of each line, and the lines that have become slower (or larger), for the terminal. */
export function compared(pairs: readonly (readonly Pair[])[]): string {
  const lines = pairs.flatMap(compare);
  const table = markdown(
    ['line', 'old', 'new', '', 'old ÷ new', 'a quarter to three quarters'],
    lines.map(({ name, unit, old, current, ratio: { low, median, high } }) => [
      name,
      number(old),
      number(current),
      unit,
      ratio(median),
      `${ratio(low)} – ${ratio(high)}`,
    ]),
  );
  const worse = lines.filter(isWorse);
  const percent = ((TOLERANCE - 1) * 100).toFixed(0);
  const verdict =
    worse.length === 0
      ? `No line is slower by more than ${percent} %.`
      : [
          `Slower by more than ${percent} %:`,
          ...worse.map(
            ({ name, ratio: { median }, byPair }) =>
              `- ${name}: ${ratio(median)} (${byPair.map(ratio).join(', ')})`,
          ),
        ].join('\n');
  return `${table}\n\n${verdict}`;
}

/**
 * Whether a line is slower by more than the tolerance in the median of all rounds and in the median of the pairs of processes,
 * and slower in every pair. Processes differ by some per cent regardless of the number of rounds, so one pair proves little.
 */
function isWorse({ ratio: { median }, byPair }: Compared): boolean {
  const limit = 1 / TOLERANCE;
  return median < limit && spread(byPair).median < limit && byPair.every((own) => own < 1);
}

/** Compares the lines of one workload, by its pairs of processes. */
function compare(pairs: readonly Pair[]): Compared[] {
  const all = pairs.map(({ old, current }) => ({ old: linesOf(old), current: linesOf(current) }));
  const names = all[0]?.current.map(({ name }) => name) ?? [];
  return names.flatMap((name) => {
    const find = (lines: readonly Line[]): Line | undefined => lines.find((line) => line.name === name);
    const old: number[] = [];
    const current: number[] = [];
    const ratios: number[][] = [];
    let about: Line | undefined;
    for (const pair of all) {
      const before = find(pair.old);
      const after = (about = find(pair.current));
      if (before === undefined || after === undefined) return [];
      old.push(...before.values);
      current.push(...after.values);
      ratios.push(
        before.values
          .slice(0, after.values.length)
          .map((value, i) => (after.moreIsBetter ? after.values[i]! / value : value / after.values[i]!)),
      );
    }
    return [
      {
        name,
        unit: about!.unit,
        old: spread(old).median,
        current: spread(current).median,
        ratio: spread(ratios.flat()),
        byPair: ratios.map((own) => spread(own).median),
      },
    ];
  });
}

function linesOf(findings: readonly Finding[]): Line[] {
  return findings.flatMap((finding): Line[] => {
    const line = (title: string, client: string, rest: Omit<Line, 'name'>): Line => ({
      name: client === OURS ? title : `${title}: ${client.slice(OURS.length + 2)}`,
      ...rest,
    });
    switch (finding.kind) {
      case 'race':
        return finding.entries
          .filter(({ name }) => isOurs(name))
          .map(({ name, rounds }) =>
            line(finding.workload, name, { unit: 'ms', moreIsBetter: false, values: rounds }),
          );
      case 'curve':
        return finding.series
          .filter(({ name }) => isOurs(name))
          .flatMap(({ name, points }) =>
            points.map(([x, y]) =>
              line(`${finding.title}, ${String(x)} ${finding.x}`, name, {
                unit: finding.y,
                moreIsBetter: finding.moreIsBetter ?? false,
                values: [y],
              }),
            ),
          );
      case 'figures':
        return finding.values
          .filter(({ name }) => isOurs(name))
          .map(({ name, value }) =>
            line(finding.title, name, { unit: finding.unit, moreIsBetter: false, values: [value] }),
          );
    }
  });
}
