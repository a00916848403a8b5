import { checkSetting, type IsolationLevel } from '../connection/transaction-settings.js';
import * as errors from '../errors/index.js';
import { pause, type Clock } from '../waiting.js';

/** The transaction options of `pool.withTransaction()`. */
export interface RetryOptions {
  /** The isolation level of the transaction. @default the connection's */
  isolationLevel?: IsolationLevel | null | undefined;
  /** Whether the transaction is read only. @default the connection's */
  readOnly?: boolean | null | undefined;
  /** Whether the transaction is deferrable. @default the connection's */
  deferrable?: boolean | null | undefined;
  /** How often a transaction with a transient error is repeated. @default 5 */
  retries?: number | undefined;
}

/** The settings of a transaction that differ from the connection's. */
export type OwnSettings = Pick<RetryOptions, 'isolationLevel' | 'readOnly' | 'deferrable'>;

const DEFAULT_RETRIES = 5;
/** The maximum pause before the first retry, in seconds; it doubles with each retry. */
const FIRST_PAUSE = 0.01;
const LONGEST_PAUSE = 1;

/** Takes the options apart. Raises `ProgrammingError` for an isolation level that there is not. */
export function resolveRetryOptions(options: RetryOptions): { retries: number; settings: OwnSettings } {
  const { retries = DEFAULT_RETRIES } = options;
  const settings: OwnSettings = {};
  for (const name of ['isolationLevel', 'readOnly', 'deferrable'] as const) {
    const value = options[name];
    if (value === undefined) continue;
    checkSetting(name, value);
    Object.assign(settings, { [name]: value });
  }
  return { retries, settings };
}

/** Whether a transaction failed because of concurrent ones and was rolled back, so that repeating it may succeed. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof errors.Error &&
    !(error instanceof errors.TransactionOutcomeUnknown) &&
    (error.sqlstate === '40001' || error.sqlstate === '40P01')
  );
}

/** The outcome of an attempt whose error allows another attempt. */
export class MayRetry {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The pauses between attempts. */
export interface Pace {
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called before each retry's pause, which lasts `delay` seconds. */
  onRetry(error: unknown, retry: number, delay: number): void;
}

/**
 * Resolves with the result of `attempt`. After a `MayRetry`, repeats it after a random pause, whose average length doubles each
 * time; throws the last error.
 */
export async function retrying<T>(attempt: () => Promise<T | MayRetry>, pace: Pace): Promise<T> {
  for (let retry = 1; ; retry++) {
    const outcome = await attempt();
    if (!(outcome instanceof MayRetry)) return outcome;
    if (retry > pace.retries) throw outcome.error;
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (retry - 1));
    const delay = (longest * (1 + pace.random())) / 2;
    pace.onRetry(outcome.error, retry, delay);
    await pause(delay, { clock: pace.clock, signal: pace.signal });
  }
}
