/** Counts what has begun and not ended, and tells when all of it has ended. */
export class Outstanding {
  #count = 0;
  #waiting: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    if (--this.#count > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when nothing is outstanding. */
  async ended(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
