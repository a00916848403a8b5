import { Fleet } from './fleet.js';
import type { Program, Transaction } from './program.js';
import { SERVER, type ServerModel } from './server.js';

/** A rolling deploy: in each wave, new processes start before as many old ones stop. */
export interface Deploy {
  readonly processes: number;
  /** The processes that start in one wave. */
  readonly surge: number;
  /** The size of each pool. */
  readonly size: number;
  /** The connections that the server allows. */
  readonly maxConnections: number;
  readonly rate: number;
  readonly transaction: Transaction;
  readonly seed: number;
}

export interface DeployReport {
  /** The connections on the server, each tenth of a second. */
  readonly connections: readonly number[];
  readonly most: number;
  /** Attempts that the server refused. */
  readonly refused: number;
  /** Requests by what became of them. */
  readonly served: number;
  readonly unserved: number;
  /** Seconds that the deploy took. */
  readonly seconds: number;
}

/** What all pools may have at once during a deploy: the formula of the guide to pools. */
export function needed({ processes, surge, size }: Pick<Deploy, 'processes' | 'surge' | 'size'>): number {
  return (processes + surge) * size;
}

/** Seconds that a new process has before old ones stop, and that the fleet works before and after. */
const OVERLAP = 2;
const QUIET = 2;

export async function deploy(scene: Deploy, model: ServerModel = SERVER): Promise<DeployReport> {
  const { processes, surge, size, maxConnections, rate, transaction } = scene;
  const fleet = await Fleet.before({ ...model, maxConnections }, scene.seed);
  const { clock, server, outcomes } = fleet;
  const connections: number[] = [];
  const pass = async (seconds: number): Promise<void> => {
    for (let tenth = 0; tenth < Math.round(seconds * 10); tenth++) {
      await clock.pass(0.1);
      connections.push(server.sessions);
    }
  };
  const startOne = (): Program => {
    const program = fleet.add({ minSize: size, maxSize: size, numWorkers: 3, maxWaiting: 0, timeout: 5 });
    fleet.load(program, () => rate, transaction);
    return program;
  };
  let old = Array.from({ length: processes }, startOne);
  await pass(QUIET);
  const began = clock.now();
  while (old.length > 0) {
    const leaving = old.slice(0, surge);
    old = old.slice(surge);
    for (let i = 0; i < leaving.length; i++) startOne();
    await pass(OVERLAP);
    let left = leaving.length;
    for (const program of leaving) {
      void program.stop().then(() => left--);
    }
    // The next wave begins when these processes have gone.
    while (left > 0) await pass(0.1);
  }
  const seconds = clock.now() - began;
  await pass(QUIET);
  const until = clock.now();
  const { served, late, failed, refused } = outcomes;
  return {
    connections,
    most: server.most,
    refused: server.refused,
    served: served.total(0, until),
    unserved: [late, failed, refused].reduce((sum, counts) => sum + counts.total(0, until), 0),
    seconds,
  };
}
