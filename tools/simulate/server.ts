import { setMaxListeners } from 'node:events';
import { pause, waitFor, type Clock } from '../../src/waiting.js';
import { Counts } from './counts.js';
import { Processors } from './processors.js';

/** What a server can do, and what a connection costs it. Times are in seconds. */
export interface ServerModel {
  readonly cores: number;
  /** The fraction of its speed that it loses to each busy session above `cores`. */
  readonly contention: number;
  readonly maxConnections: number;
  /** Connections that wait for the postmaster at most; a further one is dropped, and tried again by TCP after 1, 2, 4 … seconds. */
  readonly backlog: number;
  /** What the postmaster, which is one process, works for each connection. */
  readonly forking: number;
  /** The processor time of a backend for its start and end. */
  readonly starting: number;
  /** The time over the network, there and back. */
  readonly roundTrip: number;
}

/** `forking` and `starting` were measured (`npx tsx tools/simulate/connection-cost.ts`); the rest is chosen. */
export const SERVER: ServerModel = {
  cores: 16,
  contention: 0,
  maxConnections: 12_000,
  backlog: 4096,
  forking: 0.4e-3,
  starting: 4e-3,
  roundTrip: 0.5e-3,
};

/** After the round trip of TCP: the startup message, and two of SCRAM. */
const START_ROUND_TRIPS = 3;

/** A session on the server. */
export class ModelConnection {
  isAlive = true;
  /** Called when the server ends it. */
  onLost: () => void = () => undefined;
}

/** A model of a PostgreSQL server: one postmaster, a limit of connections, and processors that all sessions share. */
export class ModelServer {
  readonly clock: Clock;
  readonly #model: ServerModel;
  readonly #processors: Processors;
  /** Those that are starting included. */
  readonly #sessions = new Set<ModelConnection>();
  /** Aborted by a crash. */
  #life = new AbortController();
  #isUp = true;
  /** When the postmaster will have started all backends that it was asked for. */
  #forkedAt = 0;
  /** Attempts that reached the server while it was up, and sessions that became ready. */
  readonly attempts = new Counts();
  readonly ready = new Counts();
  /** Attempts dropped by the kernel, and refused because of the limit. */
  dropped = 0;
  refused = 0;
  /** The most sessions at once. */
  most = 0;
  /** The longest time from an attempt to its session. */
  slowestStart = 0;

  constructor(clock: Clock, model: ServerModel) {
    this.clock = clock;
    this.#model = model;
    this.#processors = new Processors(clock, model.cores, model.contention);
    setMaxListeners(0, this.#life.signal);
  }

  /** The number of sessions now. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Ends all sessions. Until `start()`, connections are refused. */
  crash(): void {
    const lost = [...this.#sessions];
    this.#sessions.clear();
    this.#processors.clear();
    this.#forkedAt = 0;
    this.#isUp = false;
    this.#life.abort(new Error('the server has ended the connection'));
    this.#life = new AbortController();
    for (const session of lost) {
      session.isAlive = false;
      session.onLost();
    }
  }

  start(): void {
    this.#isUp = true;
  }

  /** Connects. Rejects if the server is down or ends, or has no connection left. */
  async connect(signal: AbortSignal): Promise<ModelConnection> {
    const { clock } = this;
    const { roundTrip, starting, forking, backlog, maxConnections } = this.#model;
    const began = clock.now();
    await pause(roundTrip, { signal, clock });
    for (let again = 1; ; again *= 2) {
      if (!this.#isUp) throw new Error('connection refused');
      this.attempts.add(clock.now());
      if (this.#forkedAt - clock.now() < backlog * forking) break;
      this.dropped++;
      await pause(again, { signal, clock });
    }
    // From here on the server does its work, whether or not the client is still there.
    const life = this.#life.signal;
    this.#forkedAt = Math.max(this.#forkedAt, clock.now()) + forking;
    await pause(this.#forkedAt - clock.now(), { signal: life, clock });
    if (this.#sessions.size >= maxConnections) {
      this.refused++;
      throw new Error('sorry, too many clients already');
    }
    const session = new ModelConnection();
    this.#sessions.add(session);
    this.most = Math.max(this.most, this.#sessions.size);
    await this.#work(starting, START_ROUND_TRIPS * roundTrip, life);
    this.ready.add(clock.now());
    this.slowestStart = Math.max(this.slowestStart, clock.now() - began);
    return session;
  }

  /** Runs a transaction of `busy` seconds of a processor, and `elsewhere` seconds on the network, the disk and in the program. */
  async run(session: ModelConnection, busy: number, elsewhere: number): Promise<void> {
    if (!session.isAlive) throw new Error('the connection is lost');
    await this.#work(busy, elsewhere, this.#life.signal);
  }

  /** Ends a session; resolves when it no longer counts. */
  async close(session: ModelConnection): Promise<void> {
    const { roundTrip } = this.#model;
    session.isAlive = false;
    await pause(roundTrip, { clock: this.clock });
    this.#sessions.delete(session);
  }

  async #work(busy: number, elsewhere: number, life: AbortSignal): Promise<void> {
    await waitFor<undefined>(
      (wait) => {
        this.#processors.run(busy, () => {
          wait.resolve(undefined);
        });
      },
      { signal: life },
    );
    await pause(elsewhere, { signal: life, clock: this.clock });
  }
}
