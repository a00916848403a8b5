/** How often something happened in each tenth of a second. */
export class Counts {
  static readonly WIDTH = 0.1;
  readonly #counts: number[] = [];

  add(at: number): void {
    const tenth = Counts.#tenth(at);
    this.#counts[tenth] = (this.#counts[tenth] ?? 0) + 1;
  }

  /** The counts of each tenth of a second in a period. */
  between(from: number, until: number): number[] {
    const [first, last] = [Counts.#tenth(from), Counts.#tenth(until)];
    return Array.from({ length: last - first }, (_, i) => this.#counts[first + i] ?? 0);
  }

  total(from: number, until: number): number {
    return this.between(from, until).reduce((sum, count) => sum + count, 0);
  }

  /** The largest count, as a rate per second. */
  peak(from: number, until: number): number {
    return Math.max(0, ...this.between(from, until)) / Counts.WIDTH;
  }

  static #tenth(at: number): number {
    return Math.floor(at / Counts.WIDTH + 1e-6);
  }
}
