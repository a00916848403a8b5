import { loadPLimit } from '../../src/packages.js';
import { Random } from '../../test/support/random.js';
import { Outcomes, Program, type ProgramOptions, type Transaction } from './program.js';
import { ModelServer, type ServerModel } from './server.js';
import { VirtualClock } from './virtual-clock.js';

/** A fleet of processes, each with a pool, before one server. All chance comes from a seed. */
export class Fleet {
  readonly clock = new VirtualClock();
  readonly server: ModelServer;
  readonly outcomes = new Outcomes();
  readonly programs: Program[] = [];
  readonly #random: Random;

  private constructor(model: ServerModel, seed: number) {
    this.#random = new Random(seed);
    this.server = new ModelServer(this.clock, model);
  }

  static async before(model: ServerModel, seed: number): Promise<Fleet> {
    // A pool's first connection would wait for it, in real time.
    await loadPLimit();
    return new Fleet(model, seed);
  }

  /** Starts a process. `random` is the source of its pool's jitter. */
  add(options: ProgramOptions, random = (): number => this.random()): Program {
    const program = new Program(this.server, this.outcomes, options, random);
    this.programs.push(program);
    return program;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  random(): number {
    return this.#random.next();
  }

  /** Times drawn from exponential distributions, whose means are those of `transaction`. */
  varied({ busy, elsewhere }: Transaction): Transaction {
    return { busy: this.#drawn(busy), elsewhere: this.#drawn(elsewhere) };
  }

  /** Lets a process make requests at random, `rate(now)` a second on average, until it stops. */
  load(
    program: Program,
    rate: (now: number) => number,
    transaction: Transaction,
    { retries = 0, pause = 0 } = {},
  ): void {
    const ask = async (left: number): Promise<void> => {
      if ((await program.request(this.varied(transaction))) || left === 0) return;
      this.clock.after(pause, () => void ask(left - 1));
    };
    const next = (): void => {
      this.clock.after(this.#drawn(1 / rate(this.clock.now())), () => {
        if (program.isStopping) return;
        void ask(retries);
        next();
      });
    };
    next();
  }

  #drawn(mean: number): number {
    return -Math.log(1 - this.#random.next()) * mean;
  }
}
