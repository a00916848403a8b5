import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { drawCluster } from '../../tools/timelines/drawings.js';
import { PoolRecorder } from '../../tools/timelines/recorder.js';
import type { Outcome } from '../fault/bank.js';
import type { Cluster } from './cluster.js';
import { READERS_POOL, type Workload } from './workload.js';

const FOLDER = new URL('../../docs/guides/timelines/', import.meta.url);
/** Seconds that are drawn before an event and after its end. */
const BEFORE = 1;
const AFTER = 3;
const OUTCOMES: Readonly<Record<Outcome, string>> = {
  acknowledged: 'committed',
  failed: 'failed',
  unknown: 'outcome unknown',
};

/** Something that happened to the cluster, in milliseconds of `performance.now()`. */
interface RecordedEvent {
  readonly file: string;
  readonly marks: { readonly at: number; readonly name: string }[];
}

/** Records the events of a run, as two pools see them, and draws them for the documentation. */
export class Timelines {
  readonly #began = performance.now();
  readonly #writers = new PoolRecorder('three hosts', this.#began);
  readonly #readers = new PoolRecorder(READERS_POOL, this.#began);
  readonly #events: RecordedEvent[] = [];

  /** An event begins, whose drawing gets this name. */
  begin(file: string, name: string): void {
    this.#events.push({ file, marks: [{ at: performance.now(), name }] });
  }

  /** Something happens in the last event. */
  mark(name: string, at = performance.now()): void {
    this.#events.at(-1)?.marks.push({ at, name });
  }

  /** Draws all events into docs/. */
  async draw(cluster: Cluster, work: Workload): Promise<void> {
    this.#writers.stop();
    this.#readers.stop();
    await mkdir(FOLDER, { recursive: true });
    for (const { file, marks } of this.#events) {
      const start = marks[0]!.at - BEFORE * 1000;
      const seconds = (marks.at(-1)!.at - start) / 1000 + AFTER;
      const within = <T extends { at: number }>(moments: T[]): T[] =>
        moments
          .map((moment) => ({ ...moment, at: (moment.at - start) / 1000 }))
          .filter(({ at }) => at >= 0 && at <= seconds);
      const shift = (start - this.#began) / 1000;
      const connections = [this.#writers, this.#readers].map((recorder, i) => ({
        pool: i === 0 ? 'writers' : 'readers',
        intervals: recorder.intervals
          .filter(({ from, to }) => to >= shift && from <= shift + seconds)
          .map((interval) => ({
            ...interval,
            from: Math.max(0, interval.from - shift),
            to: Math.min(seconds, interval.to - shift),
            node: interval.port === null ? null : cluster.nodeAt(interval.port).name,
          })),
      }));
      const transfers = work.tellers
        .get('three hosts')!
        .ended.map(({ ended, outcome }) => ({ at: ended, name: OUTCOMES[outcome!] }));
      const reads = work.reads.map(({ ended, port }) => ({
        at: ended,
        name: port === null ? 'failed' : 'answered',
      }));
      const recording = {
        connections,
        marks: within(marks),
        transfers: within(transfers),
        reads: within(reads),
        seconds,
      };
      await writeFile(fileURLToPath(new URL(`cluster-${file}.svg`, FOLDER)), await drawCluster(recording));
    }
  }
}
