import { locate } from '../errors/location.js';
import { shownQuery } from './query-trace.js';
import type { StatementEntry } from './queue.js';
import type { StatementResult } from './statement.js';
import type { Transport } from './transport.js';

/**
 * Receives the outcomes of statements before their callers do. An interface, since the connection that implements it is in a
 * layer above the session.
 */
export interface StatementObserver {
  onStatementDone(results: readonly StatementResult[], text: string): void;
  /** `results`: those of the statements in the text before the failed one. */
  onStatementError(error: unknown, results: readonly StatementResult[]): void;
  /** A Sync failed for which no caller waits. */
  onSyncError(error: unknown): void;
}

const NONE: readonly StatementResult[] = [];

/** Settles each statement once and reports it to the observer. */
export class Outcomes {
  observer: StatementObserver | null = null;
  /** The message of the error that the last statement failed with; '' if it did not fail. */
  errorMessage = '';
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Settles a statement: with its results, with `error`, or with the reason why its caller gave up. */
  settle(entry: StatementEntry, error: unknown, results: readonly StatementResult[] = NONE): void {
    if (entry.settled) return;
    entry.settled = true;
    this.errorMessage = error instanceof Error ? error.message : '';
    if (error !== null) this.observer?.onStatementError(error, results);
    // The tag of a COPY does not contain its direction; the COPY's user reports it.
    else if (entry.request.exchange?.kind !== 'copy')
      this.observer?.onStatementDone(results, entry.request.text);
    entry.tellSettled();
    const isAbandoned = entry.abandoned !== null && !this.#mustBeTold(entry, error);
    if (isAbandoned || error !== null) entry.request.failedAfter?.(results);
    if (isAbandoned) {
      entry.reject(entry.abandoned!.reason);
    } else if (error !== null) {
      locate(error, this.#transport.location, shownQuery(entry.request));
      entry.reject(error);
    } else {
      entry.resolve(results);
    }
  }

  /** Handles the answer to the Sync of a pipeline's segment. `isAwaited`: a caller receives `error`. */
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

  /** Whether a caller that gave up must learn the outcome: the statement took effect nevertheless, or that is unknown. */
  #mustBeTold({ request, isSent }: StatementEntry, error: unknown): boolean {
    return request.outcomeMatters === true && isSent && (error === null || this.#transport.phase !== 'open');
  }
}
