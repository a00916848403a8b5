import { checkSetting, type IsolationLevel } from '../connection/transaction-settings.js';
import * as errors from '../errors/index.js';
import { pause, type Clock } from '../waiting.js';
import { checkWhole } from './options.js';

/** How `pool.withTransaction()` runs its transaction. */
export interface RetryOptions {
  /** The isolation level of the transaction. @default the connection's */
  isolationLevel?: IsolationLevel | null | undefined;
  /** Whether the transaction is read only. @default the connection's */
  readOnly?: boolean | null | undefined;
  /** Whether the transaction is deferrable. @default the connection's */
  deferrable?: boolean | null | undefined;
  /** How often a transaction is run again that failed by no fault of its own. @default 5 */
  retries?: number | undefined;
}

/** The settings of a transaction that differ from the connection's. */
export type OwnSettings = Pick<RetryOptions, 'isolationLevel' | 'readOnly' | 'deferrable'>;

const DEFAULT_RETRIES = 5;
/** The longest pause before the first retry, in seconds; it doubles with each. */
const FIRST_PAUSE = 0.01;
const LONGEST_PAUSE = 1;

const KNOWN: ReadonlySet<string> = new Set([
  'isolationLevel',
  'readOnly',
  'deferrable',
  'retries',
  'timeout',
  'signal',
]);

/** Takes the options apart. Raises `ProgrammingError` for one that is unknown or has a value it can't have. */
export function resolveRetryOptions(options: RetryOptions): { retries: number; settings: OwnSettings } {
  for (const name of Object.keys(options)) {
    if (KNOWN.has(name)) continue;
    throw new errors.ProgrammingError(
      `unknown option \`${name}\` of withTransaction(); the options are ${[...KNOWN].join(', ')}`,
    );
  }
  const { retries = DEFAULT_RETRIES } = options;
  checkWhole('retries', retries, 0);
  const settings: OwnSettings = {};
  for (const name of ['isolationLevel', 'readOnly', 'deferrable'] as const) {
    const value = options[name];
    if (value === undefined) continue;
    checkSetting(name, value);
    Object.assign(settings, { [name]: value });
  }
  return { retries, settings };
}

/** Whether a transaction failed because of others, and is rolled back, so that the same again may succeed. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof errors.Error &&
    !(error instanceof errors.TransactionOutcomeUnknown) &&
    (error.sqlstate === '40001' || error.sqlstate === '40P01')
  );
}

/** An attempt that failed in a way that allows another. */
export class MayRetry {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** How to pause between attempts. */
export interface Pace {
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called before the pause of each retry, which lasts `delay` seconds. */
  onRetry(error: unknown, retry: number, delay: number): void;
}

/**
 * Resolves with what `attempt` resolves with. One that gives a `MayRetry` is made again, after a pause of random length that is
 * twice as long on average each time; the error of the last is thrown.
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
