/** The slope of the heap: a least-squares line through measurements, each after a forced collection. */
export class HeapSlope {
  readonly #collect: NonNullable<typeof globalThis.gc>;
  readonly #samples: { readonly seconds: number; readonly megabytes: number }[] = [];

  constructor(collect: NonNullable<typeof globalThis.gc>) {
    this.#collect = collect;
  }

  sample(seconds: number): void {
    this.#collect();
    this.#samples.push({ seconds, megabytes: process.memoryUsage().heapUsed / 1e6 });
  }

  /** 0 while there are too few measurements. */
  megabytesPer10Minutes(): number {
    const samples = this.#samples;
    if (samples.length < 3) return 0;
    const mean = (of: 'seconds' | 'megabytes'): number =>
      samples.reduce((sum, sample) => sum + sample[of], 0) / samples.length;
    const [meanSeconds, meanMegabytes] = [mean('seconds'), mean('megabytes')];
    let covariance = 0;
    let variance = 0;
    for (const { seconds, megabytes } of samples) {
      covariance += (seconds - meanSeconds) * (megabytes - meanMegabytes);
      variance += (seconds - meanSeconds) ** 2;
    }
    return (covariance / variance) * 600;
  }

  describe(): string {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined) return 'not measured yet';
    return (
      `${first.megabytes.toFixed(2)} → ${last.megabytes.toFixed(2)} MB, slope ${this.megabytesPer10Minutes().toFixed(2)} MB` +
      ` per 10 min over ${String(this.#samples.length)} samples`
    );
  }
}
