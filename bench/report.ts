/** One way of doing a workload: us, or a peer. */
export interface Contender {
  readonly name: string;
  /** Does the work once. */
  run(): Promise<unknown>;
}

/** The contender the others are compared with. */
export const OURS = 'usingpg';

export interface Line {
  readonly workload: string;
  readonly contender: string;
  readonly bestMs: number;
  readonly medianMs: number;
  /** Best peer time / our best time: above 1 we are faster. */
  readonly ratio: number;
  /** The same with medians. */
  readonly medianRatio: number;
  /** The best time of one operation, where that says more. */
  readonly perOperationUs: number | null;
}

const WARM_UP = 3;

/** Pauses for a collection between runs, so that nobody pays for the garbage of the one before. */
function collect(): void {
  globalThis.gc?.();
}

/**
 * Runs the contenders in turn, `rounds` times after three warm-up rounds, so that a slow moment of the machine hits all of
 * them and everybody's code has been compiled. Each round starts with another contender.
 */
export async function race(
  workload: string,
  contenders: readonly Contender[],
  { rounds = 11, operations }: { rounds?: number; operations?: number } = {},
): Promise<Line[]> {
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(turn + round + WARM_UP) % contenders.length];
      if (contender === undefined) continue;
      collect();
      const start = performance.now();
      await contender.run();
      const elapsed = performance.now() - start;
      if (round >= 0) times.get(contender.name)?.push(elapsed);
    }
  }
  const ours = times.get(OURS) ?? [];
  return contenders.map(({ name }) => {
    const own = times.get(name) ?? [];
    return {
      workload,
      contender: name,
      bestMs: Math.min(...own),
      medianMs: median(own),
      ratio: Math.min(...own) / Math.min(...ours),
      medianRatio: median(own) / median(ours),
      perOperationUs: operations === undefined ? null : (Math.min(...own) * 1000) / operations,
    };
  });
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The lines as a Markdown table. */
export function table(lines: readonly Line[]): string {
  const head = ['workload', 'client', 'best ms', 'median ms', 'µs each', 'best ÷ ours', 'median ÷ ours'];
  const rows = lines.map((line) => [
    line.workload,
    line.contender,
    line.bestMs.toFixed(1),
    line.medianMs.toFixed(1),
    line.perOperationUs === null ? '' : line.perOperationUs.toFixed(2),
    line.ratio.toFixed(2),
    line.medianRatio.toFixed(2),
  ]);
  return aligned(head, rows);
}

function aligned(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
