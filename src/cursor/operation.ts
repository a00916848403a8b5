import type { ConnectionCore } from '../connection/connection-core.js';
import type { AsyncCopy } from '../copy/copy.js';
import * as errors from '../errors/index.js';
import { describeQuery, type Query } from '../query/binding.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';
import type { Executions } from './executemany.js';

/** Runs a statement of the current operation. @internal */
export type RunStatement = (
  request: StatementRequest,
  lock?: ExclusiveLock,
) => Promise<readonly StatementResult[]>;

const NO_REQUESTS: readonly StatementRequest[] = [];

/** The operation that occupies a cursor; at most one at a time. */
export class Operation {
  /** The query or the name of the call; null if there is no operation. */
  #query: Query | null = null;
  #requests = NO_REQUESTS;
  #copy: AsyncCopy | null = null;
  #executions: Executions | null = null;

  begin(query: Query): void {
    this.#query = query;
  }

  /** Records the operation's statements. */
  runs(requests: readonly StatementRequest[]): void {
    this.#requests = requests;
  }

  /** Records the operation's executions, which wait for more than their statements. */
  executes(executions: Executions): void {
    this.#executions = executions;
  }

  /** Extends the operation until this COPY has ended. */
  serves(copy: AsyncCopy): void {
    this.#copy = copy;
  }

  end(): void {
    this.#query = null;
    this.#requests = NO_REQUESTS;
    this.#copy = null;
    this.#executions = null;
  }

  /** Ends the operation if it serves this COPY; returns whether it did. */
  endOf(copy: AsyncCopy): boolean {
    if (this.#copy !== copy) return false;
    this.end();
    return true;
  }

  /** Raises `ConcurrentCursorUse` during an operation. */
  checkNone(attempted: Query): void {
    if (this.#query === null) return;
    if (this.#copy?.ended === true) {
      this.end();
      return;
    }
    throw new errors.ConcurrentCursorUse(describeQuery(this.#query), describeQuery(attempted));
  }

  /** The description of the operation; null if there is none. */
  get shown(): string | null {
    if (this.#query === null || this.#copy?.ended === true) return null;
    return this.#copy === null ? 'busy' : 'COPY';
  }

  /** Whether it has statements, executions or a COPY that can be ended. */
  get isRunning(): boolean {
    return this.#requests.length > 0 || this.#executions !== null;
  }

  /** Ends its COPY or its statements, on the server as well. Resolves when they have ended. */
  async abandon(core: ConnectionCore): Promise<void> {
    if (this.#copy !== null) {
      await this.#copy.abort('the cursor was closed');
      return;
    }
    if (core.returned) return;
    const reason = new errors.InterfaceError(
      'the cursor was closed while its statement was waiting or running',
    );
    const stopped = this.#executions?.stop(reason);
    await Promise.all(this.#requests.map((request) => core.session.abandon(request, reason)));
    await stopped;
  }
}
