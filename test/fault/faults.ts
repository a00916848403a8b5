import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { Random } from '../support/random.js';
import type { OwnServer } from '../support/server.js';

/** The kinds of faults of a server and its network. */
export type Fault =
  'kill one' | 'kill all' | 'latency' | 'cut' | 'reset all' | 'black hole' | 'refuse' | 'restart';

/** The relative frequency of each. */
const WEIGHTS: Readonly<Record<Fault, number>> = {
  'kill one': 8,
  'kill all': 2,
  latency: 4,
  cut: 6,
  'reset all': 2,
  'black hole': 2,
  refuse: 1,
  restart: 1,
};
const SACK = Object.entries(WEIGHTS).flatMap(([fault, weight]) => Array<Fault>(weight).fill(fault as Fault));

export interface FaultTarget {
  readonly server: OwnServer;
  readonly proxy: FaultProxy;
  /** Only backends with this name may be killed. */
  readonly applicationName: string;
}

/** Causes one fault after another until it is stopped; then it repairs everything. */
export class Faults {
  /** The number of faults of each kind. */
  readonly counts = new Map<Fault, number>();
  readonly #target: FaultTarget;
  readonly #random: Random;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  /** `pause`: mean seconds between two faults. */
  constructor(target: FaultTarget, random: Random, pause: number) {
    this.#target = target;
    this.#random = random;
    this.#running = this.#run(pause);
    this.#running.catch(() => undefined);
  }

  /** Resolves when everything works; rejects if a fault could not be caused. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(pause: number): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#wait(2 * pause * this.#random.next());
      const fault = this.#random.pick(SACK);
      this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
      await this.#make(fault);
    }
  }

  async #make(fault: Fault): Promise<void> {
    const { server, proxy } = this.#target;
    switch (fault) {
      case 'kill one':
      case 'kill all':
        await this.#kill(fault === 'kill one' ? 1 : 1000);
        return;
      case 'latency':
        proxy.latency = 0.005 + 0.1 * this.#random.next();
        await this.#wait(0.3);
        proxy.latency = 0;
        return;
      case 'cut': {
        const { open } = proxy;
        const direction = this.#random.pick(['up', 'down'] as const);
        if (open.length > 0) this.#random.pick(open).cutAfter(this.#random.below(400), direction);
        return;
      }
      case 'reset all':
        proxy.resetAll();
        return;
      case 'black hole': {
        const directions = this.#random.pick([['up'], ['down'], ['up', 'down']] as const);
        for (const direction of directions) proxy.blackHole.add(direction);
        await this.#wait(0.2 + 0.8 * this.#random.next());
        // Swallowed bytes must not arrive later: TCP never loses a part of a connection.
        proxy.resetAll();
        proxy.blackHole.clear();
        return;
      }
      case 'refuse':
        proxy.refuse();
        await this.#wait(0.3);
        await proxy.accept();
        return;
      case 'restart':
        await server.crash();
        await this.#wait(0.5 * this.#random.next());
        await server.restart();
    }
  }

  async #kill(most: number): Promise<void> {
    const client = new pg.Client(this.#target.server.dsn);
    await client.connect();
    try {
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM (
           SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY random() LIMIT $2) AS victims`,
        [this.#target.applicationName, most],
      );
    } finally {
      await client.end();
    }
  }

  async #wait(seconds: number): Promise<void> {
    await sleep(seconds * 1000, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** The counts as text. */
export function describeFaults({ counts }: Faults): string {
  return [...counts].map(([fault, count]) => `${String(count)} × ${fault}`).join(', ');
}
