import type { Bank } from '../fault/bank.js';
import type { Cluster } from './cluster.js';
import type { Read, Way } from './workload.js';

/** The numbers of a run, as they are printed at its end. */
export class Report {
  readonly #lines: string[] = [];

  get text(): string {
    return this.#lines.join('\n');
  }

  print(seed: number): void {
    console.log(`${this.text}\nCLUSTER_SEED=${String(seed)}`);
  }

  /** How long there was no primary, and how long after that writes were back. */
  event(name: string, ready: number, back: ReadonlyMap<Way, number>): void {
    const ways = [...back].map(([way, seconds]) => `${way} ${seconds.toFixed(2)} s`).join(', ');
    this.#lines.push(`${name}: a primary after ${ready.toFixed(1)} s; writes after another ${ways}`);
  }

  /** What a way did from the event, until it wrote on the primary that was ready after so many seconds. */
  explain(way: Way, ready: number, picture: readonly string[]): void {
    this.#lines.push(
      `  ${way}, with a primary after ${ready.toFixed(2)} s:`,
      ...picture.map((line) => `    ${line}`),
    );
  }

  /** How many audits since a moment saw a former state, on a server that believed to be the primary or on a standby. */
  stale(name: string, audits: readonly Read[], since: number): void {
    const seen = audits.filter(({ began }) => began >= since);
    const stale = seen.filter((read) => read.stale);
    const onStandby = seen.filter(({ inRecovery }) => inRecovery);
    this.#lines.push(
      `${name}: of ${String(seen.length)} audits ${String(stale.length)} stale, ${String(onStandby.length)} on a standby`,
    );
  }

  failed(name: string, reads: readonly Read[], since: number): void {
    const seen = reads.filter(({ ended }) => ended >= since);
    const failed = seen.filter(({ port }) => port === null).length;
    this.#lines.push(`${name}: ${String(failed)} of ${String(seen.length)} reads failed`);
  }

  back(way: string, seconds: number): void {
    this.#lines.push(`reads are back on a standby that is back, by ${way}: after ${seconds.toFixed(2)} s`);
  }

  shares(name: string, shares: ReadonlyMap<number, number>, cluster: Cluster): void {
    const parts = [...shares].map(
      ([port, share]) => `${cluster.nodeAt(port).name} ${(100 * share).toFixed(0)} %`,
    );
    this.#lines.push(`${name}: ${parts.join(', ')}`);
  }

  bank(mode: string, bank: Bank, unknownCommitted: number, lost: number): void {
    this.#lines.push(`${mode}: ${bank.summary(unknownCommitted)}, ${String(lost)} acknowledged ones lost`);
  }
}

/** The share of each server in the reads that began since a moment, by its port. */
export function sharesOf(reads: readonly Read[], since: number): Map<number, number> {
  const counts = new Map<number, number>();
  let total = 0;
  for (const { port, began } of reads) {
    if (port === null || began < since) continue;
    counts.set(port, (counts.get(port) ?? 0) + 1);
    total++;
  }
  return new Map([...counts].map(([port, count]) => [port, count / total]));
}
