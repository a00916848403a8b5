import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  increment(by: number): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a line for each quarter. */
export function progressBar(label: string, total: number): Progress {
  if (process.stdout.isTTY) {
    const format = `${label.padEnd(16)} {bar} {percentage} % | {value} of {total}`;
    const bar = new SingleBar({ format, stream: process.stdout, hideCursor: true }, Presets.shades_classic);
    bar.start(total, 0);
    return {
      increment: (by) => {
        bar.increment(by);
      },
      stop: () => {
        bar.stop();
      },
    };
  }
  let done = 0;
  return {
    increment: (by) => {
      const before = Math.floor((4 * done) / total);
      done += by;
      const quarters = Math.floor((4 * done) / total);
      if (quarters > before) console.log(`${label}: ${String(quarters * 25)} % of ${String(total)}`);
    },
    stop: () => undefined,
  };
}
