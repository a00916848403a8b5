import { Fleet } from './fleet.js';
import type { Transaction } from './program.js';
import { SERVER, type ServerModel } from './server.js';

/** Where a transaction spends its time while it holds a connection. */
export interface Workload {
  readonly name: string;
  readonly transaction: Transaction;
  readonly contention: number;
}

/** One pool size under a load that keeps every connection busy. Times are in seconds. */
export interface SizeReport {
  readonly workload: string;
  readonly maxSize: number;
  /** Transactions in a second. */
  readonly throughput: number;
  /** The mean wait for a connection, and the mean time for which it was held. */
  readonly waited: number;
  readonly held: number;
}

/** The tasks, each of which makes one request after another. */
const TASKS = 200;
const BUSY = 0.01;
/** Seconds before and during the measurement. */
const WARMUP = 1;
const MEASURED = 5;

export const WORKLOADS: readonly Workload[] = [
  { name: 'all on the processor', transaction: { busy: BUSY, elsewhere: 0 }, contention: 0 },
  { name: 'half elsewhere', transaction: { busy: BUSY, elsewhere: BUSY }, contention: 0 },
  { name: 'three quarters elsewhere', transaction: { busy: BUSY, elsewhere: 3 * BUSY }, contention: 0 },
  {
    name: 'half elsewhere, with contention',
    transaction: { busy: BUSY, elsewhere: BUSY },
    contention: 0.01,
  },
];

/** The connections that keep all processors busy: each of them as many as fit while one transaction is elsewhere. */
export function enough({ busy, elsewhere }: Transaction, cores: number): number {
  return cores * (1 + elsewhere / busy);
}

/** Measures a pool of one size. */
export async function sized(
  { name, transaction, contention }: Workload,
  maxSize: number,
  seed: number,
  model: ServerModel = SERVER,
): Promise<SizeReport> {
  const fleet = await Fleet.before({ ...model, contention }, seed);
  const { clock, outcomes } = fleet;
  const program = fleet.add({ minSize: maxSize, maxSize, numWorkers: 3, maxWaiting: 0, timeout: 60 });
  let isOver = false;
  const task = async (): Promise<void> => {
    while (!isOver) await program.request(fleet.varied(transaction));
  };
  for (let i = 0; i < TASKS; i++) void task();
  await clock.pass(WARMUP + MEASURED);
  const served = outcomes.served.total(WARMUP, WARMUP + MEASURED);
  const throughput = served / MEASURED;
  isOver = true;
  return {
    workload: name,
    maxSize,
    throughput,
    // By Little's law: of the tasks, as many as there are connections hold one, and the others wait.
    waited: (TASKS - maxSize) / throughput,
    held: maxSize / throughput,
  };
}
