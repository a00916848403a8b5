import { errors } from '../../src/index.js';
import { ResourcePool } from '../../src/pool/resource-pool.js';
import { keepingStrategy } from '../../src/pool/resources.js';
import type { Checkout } from '../../src/pool/slots.js';
import { pause } from '../../src/waiting.js';
import { Counts } from './counts.js';
import type { ModelConnection, ModelServer } from './server.js';

/** The options of a pool that the scenarios vary; the others have the defaults of `AsyncConnectionPool`. */
export interface ProgramOptions {
  readonly minSize: number;
  readonly maxSize: number;
  readonly numWorkers: number;
  readonly maxWaiting: number;
  readonly timeout: number;
}

/** What a request asks of the server, in seconds. */
export interface Transaction {
  /** On a processor of the server. */
  readonly busy: number;
  /** On the network, the disk and in the program, which holds the connection meanwhile. */
  readonly elsewhere: number;
}

/** What became of requests. */
export class Outcomes {
  readonly served = new Counts();
  readonly late = new Counts();
  readonly refused = new Counts();
  /** Lost with their connection. */
  readonly failed = new Counts();
  /** Of each request that got a connection: when it asked, and how long it waited. */
  readonly waits: { readonly at: number; readonly seconds: number }[] = [];
}

/** Seconds between two looks whether requests are still under way. */
const STEP = 0.01;

/** A process with a pool, whose core is that of the library. */
export class Program {
  readonly pool: ResourcePool<ModelConnection>;
  readonly #server: ModelServer;
  readonly #outcomes: Outcomes;
  readonly #timeout: number;
  #running = 0;
  #isStopping = false;

  constructor(server: ModelServer, outcomes: Outcomes, options: ProgramOptions, random: () => number) {
    this.#server = server;
    this.#outcomes = outcomes;
    this.#timeout = options.timeout;
    this.pool = new ResourcePool<ModelConnection>(
      {
        create: async (signal) => {
          const connection = await server.connect(signal);
          connection.onLost = () => {
            this.pool.onLost(connection);
          };
          return connection;
        },
        destroy: (connection) => server.close(connection),
        isAlive: ({ isAlive }) => isAlive,
        check: null,
      },
      {
        ...options,
        name: 'simulated',
        strategy: keepingStrategy,
        maxLifetime: 3600,
        maxUses: 0,
        maxIdle: 600,
        checkAfter: 0.5,
        checkTimeout: 5,
        reconnectTimeout: 300,
        reconnectFailed: () => undefined,
        keepAlive: true,
        clock: server.clock,
        random,
      },
    );
    this.pool.open();
  }

  /** Makes one request, whose transaction holds a connection. Resolves with whether it was served. */
  async request({ busy, elsewhere }: Transaction): Promise<boolean> {
    const { clock } = this.#server;
    const asked = clock.now();
    let checkout: Checkout<ModelConnection>;
    this.#running++;
    try {
      checkout = await this.pool.acquire({ timeout: this.#timeout });
    } catch (error) {
      this.#running--;
      if (error instanceof errors.PoolTimeout) this.#outcomes.late.add(clock.now());
      else if (error instanceof errors.TooManyRequests) this.#outcomes.refused.add(clock.now());
      else throw error;
      return false;
    }
    this.#outcomes.waits.push({ at: asked, seconds: clock.now() - asked });
    try {
      await this.#server.run(checkout.resource, busy, elsewhere);
    } catch {
      this.#outcomes.failed.add(clock.now());
      this.pool.discard(checkout);
      return false;
    } finally {
      this.#running--;
    }
    this.#outcomes.served.add(clock.now());
    this.pool.release(checkout);
    return true;
  }

  /** Whether it takes no more requests. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Ends the requests under way, then the pool, as the guide to restarts says. Resolves when all its connections are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    while (this.#running > 0) await pause(STEP, { clock: this.#server.clock });
    await this.pool.close(5);
  }
}
