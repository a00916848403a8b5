import { Fleet } from './fleet.js';
import type { Transaction } from './program.js';
import { SERVER, type ServerModel } from './server.js';

/** A load above the server's capacity for a while. Times are in seconds. */
export interface Overload {
  readonly name: string;
  readonly processes: number;
  readonly size: number;
  readonly maxWaiting: number;
  readonly timeout: number;
  /** How often a request that was refused or timed out is made again, after `PAUSE`. */
  readonly retries: number;
  /** The load as a share of the capacity: usual, and during the overload. */
  readonly usual: number;
  readonly excessive: number;
  readonly lasts: number;
  readonly transaction: Transaction;
  readonly seed: number;
}

export interface OverloadReport {
  readonly name: string;
  /** The requests waiting in all pools, each second. */
  readonly waiting: readonly number[];
  /** Seconds from the end of the overload until no request waited for longer than `PROMPT`. */
  readonly recovery: number;
  /** During the overload, as shares of the capacity: transactions, and those whose request waited at most `PATIENCE`. */
  readonly throughput: number;
  readonly goodput: number;
  /** The longest wait that ended well. */
  readonly worstWait: number;
}

/** Seconds before an unserved request is made again. */
export const PAUSE = 1;
/** Seconds after which a caller has no more use for an answer. */
export const PATIENCE = 3;
/** A wait of fewer seconds is none. */
const PROMPT = 0.5;
/** Seconds before and after the overload. */
const BEFORE = 10;
const AFTER = 100;

export async function overload(scene: Overload, model: ServerModel = SERVER): Promise<OverloadReport> {
  const { processes, size, maxWaiting, timeout, lasts, transaction, usual, excessive } = scene;
  const fleet = await Fleet.before(model, scene.seed);
  const { clock, outcomes } = fleet;
  const capacity = model.cores / transaction.busy;
  const [from, until] = [BEFORE, BEFORE + lasts];
  const rate = (now: number): number =>
    ((now >= from && now < until ? excessive : usual) * capacity) / processes;
  for (let i = 0; i < processes; i++) {
    const program = fleet.add({ minSize: size, maxSize: size, numWorkers: 3, maxWaiting, timeout });
    fleet.load(program, rate, transaction, { retries: scene.retries, pause: PAUSE });
  }
  const waiting: number[] = [];
  for (let second = 0; second < until + AFTER; second++) {
    await clock.pass(1);
    waiting.push(fleet.programs.reduce((sum, { pool }) => sum + pool.stats().requestsWaiting, 0));
  }
  const slow = outcomes.waits.filter(({ seconds }) => seconds > PROMPT);
  const lastSlow = Math.max(until, ...slow.map(({ at, seconds }) => at + seconds));
  const during = outcomes.waits.filter(({ at, seconds }) => at + seconds >= from && at + seconds < until);
  return {
    name: scene.name,
    waiting,
    recovery: lastSlow - until,
    throughput: outcomes.served.total(from, until) / (capacity * lasts),
    goodput: during.filter(({ seconds }) => seconds <= PATIENCE).length / (capacity * lasts),
    worstWait: Math.max(...outcomes.waits.map(({ seconds }) => seconds)),
  };
}
