import { locate } from '../errors/location.js';
import type { StatementEntry } from './queue.js';
import type { StatementResult } from './statement.js';
import type { Transport } from './transport.js';

/**
 * Hears of how statements have ended, before their callers do. An interface, since the connection that implements it stands above
 * the session.
 */
export interface StatementObserver {
  onStatementDone(results: readonly StatementResult[], text: string): void;
  /** `results`: of the statements of its text before the one that has failed. */
  onStatementError(error: unknown, results: readonly StatementResult[]): void;
  /** A Sync has failed that no caller waits for. */
  onSyncError(error: unknown): void;
}

const NONE: readonly StatementResult[] = [];

/** Settles statements, each once, and tells the observer of each. */
export class Outcomes {
  observer: StatementObserver | null = null;
  /** The message of the error that the last statement failed with; '' if it did not fail. */
  errorMessage = '';
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Settles a statement: with its results, with `error`, or with the reason for which its caller gave up. */
  settle(entry: StatementEntry, error: unknown, results: readonly StatementResult[] = NONE): void {
    if (entry.settled) return;
    entry.settled = true;
    this.errorMessage = error instanceof Error ? error.message : '';
    if (error !== null) this.observer?.onStatementError(error, results);
    // The tag of a COPY does not tell its direction; the COPY's user does.
    else if (entry.request.exchange?.kind !== 'copy')
      this.observer?.onStatementDone(results, entry.request.text);
    entry.tellSettled();
    const isAbandoned = entry.abandoned !== null && !this.#mustBeTold(entry, error);
    if (isAbandoned || error !== null) entry.request.failedAfter?.(results);
    if (isAbandoned) {
      entry.reject(entry.abandoned!.reason);
    } else if (error !== null) {
      locate(error, this.#transport.location);
      entry.reject(error);
    } else {
      entry.resolve(results);
    }
  }

  /** The Sync of a pipeline's segment has been answered. `isAwaited`: a caller hears of `error`. */
  settleSync(error: Error | null, isAwaited: boolean): void {
    if (error === null) {
      this.observer?.onStatementDone(NONE, '');
      return;
    }
    this.errorMessage = error.message;
    locate(error, this.#transport.location);
    this.observer?.onStatementError(error, NONE);
    if (!isAwaited) this.observer?.onSyncError(error);
  }

  /** Whether the caller who gave up has to know how it ended: it was done nevertheless, or it isn't known whether it was. */
  #mustBeTold({ request, isSent }: StatementEntry, error: unknown): boolean {
    return request.outcomeMatters === true && isSent && (error === null || this.#transport.phase !== 'open');
  }
}
