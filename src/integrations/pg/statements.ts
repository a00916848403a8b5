import { errors, TransactionStatus, type AsyncConnection } from '../../index.js';
import type { Configuration } from './config.js';
import { withServerFields } from './database-error.js';
import type { SessionState } from './session-state.js';
import { begin, resultOf, resultsFrom, statementOf, type QueryResults, type Statement } from './statement.js';
import { TimeLimit } from './time-limit.js';
import { checkBefore, checkCommitted, transactionWordOf } from './transactions.js';
import { Turns } from './turns.js';

/** What may be open for longer than a call, and has a client's turn then. */
interface Closable {
  close(): Promise<void>;
}

/**
 * The statements of a client, which are executed on its connection one at a time, in the order of the calls. They do without the client
 * itself: a `pool.query()` whose client nobody would see has none.
 */
export class Statements {
  readonly configuration: Configuration;
  readonly state: SessionState;
  /** Called when a statement has ended and none waits; null if nobody wants to know. */
  onIdle: (() => void) | null = null;
  readonly #turns = new Turns();
  #connection: AsyncConnection | null;
  #isReleased = false;
  #refusal: Error | null = null;
  /** What has the turn until it is closed. */
  #open: Closable | null = null;
  /** The first error of the open transaction. */
  #failure: unknown = null;

  /** Without a connection, statements wait for `connected()`. */
  constructor(configuration: Configuration, state: SessionState, connection: AsyncConnection | null) {
    this.configuration = configuration;
    this.state = state;
    this.#connection = connection;
    if (connection === null) this.#turns.take();
  }

  // --- the connection

  /** The connection; null before it is there. */
  get connection(): AsyncConnection | null {
    return this.#connection;
  }

  /** The connection is there. `told` is called before the first statement is executed. */
  connected(connection: AsyncConnection, told: () => void): void {
    this.#connection = connection;
    told();
    this.#endTurn();
  }

  /** Whether a transaction is open, perhaps a failed one. */
  get areInTransaction(): boolean {
    const status = this.#connection?.info.transactionStatus;
    return status === TransactionStatus.INTRANS || status === TransactionStatus.INERROR;
  }

  /** Whether no statement runs or waits. */
  get areDone(): boolean {
    return this.#turns.isIdle;
  }

  /** Calls `tell` once when no statement runs or waits. */
  whenDone(tell: () => void): void {
    this.#turns.whenIdle(tell);
  }

  // --- refusing

  /** Why statements are refused; null: they are not. Most clients are released and never used again, so that is told on demand. */
  get refusal(): Error | null {
    if (!this.#isReleased) return this.#refusal;
    return (this.#refusal ??= new errors.InterfaceError(
      'the client was released to its pool, and another task may use its connection: take another client with pool.connect()',
    ));
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Refuses all later statements. */
  refuse(reason: Error): void {
    this.#refusal = reason;
  }

  /** Refuses the waiting statements. */
  refuseWaiting(reason: unknown): void {
    this.#turns.refuseAll(reason);
  }

  /** Refuses all later statements, since the connection goes back to its pool. Calls `done` when the earlier ones have ended. */
  leave(done: () => void): void {
    this.#isReleased = true;
    void this.#open?.close().catch(() => undefined);
    this.#turns.whenIdle(done);
  }

  // --- execution

  /** Executes a query that is no submittable. Its errors get node-postgres's fields. */
  execute(query: unknown, values: unknown): Promise<QueryResults> {
    let statement: Statement;
    try {
      statement = statementOf(query, values);
    } catch (error) {
      // It fails in its turn, like a statement that the server refuses.
      return this.inTurn(() => Promise.reject(error as Error));
    }
    return this.#execute(statement);
  }

  /** One asynchronous function, since small statements spend a good part of their time on promises. */
  async #execute(statement: Statement): Promise<QueryResults> {
    let limit: TimeLimit | null = null;
    let wasLost = false;
    try {
      const timeout = statement.timeout ?? this.configuration.queryTimeout;
      if (timeout !== 0) limit = new TimeLimit(timeout, 'Query read timeout');
      const signal = limit?.signal;
      const turn = this.#takeTurn(signal);
      if (turn !== null) await turn;
      try {
        const connection = this.#connection!;
        wasLost = connection.closed;
        const { text = '' } = statement;
        const word = transactionWordOf(text);
        if (word !== null) checkBefore(word, connection.info.transactionStatus, text);
        const cursor = await begin(statement, connection, this.state, signal);
        if (statement.name !== undefined) this.state.remember(statement.name, cursor.query!);
        const first = resultOf(cursor, cursor.description === null ? [] : await cursor.fetchall(), statement);
        const results =
          statement.isSimple && (await cursor.nextset()) === true
            ? await resultsFrom(first, cursor, statement)
            : first;
        if (word === 'begin') this.#failure = null;
        if (word === 'commit') checkCommitted(results, this.#failure, text);
        return results;
      } catch (error) {
        if (this.#connection!.info.transactionStatus === TransactionStatus.INERROR) this.#failure ??= error;
        throw error;
      } finally {
        this.#endTurn();
      }
    } catch (error) {
      throw withServerFields(this.asLoss(error, wasLost));
    } finally {
      limit?.end();
    }
  }

  /** Runs something with the connection after all earlier statements. `open` keeps the turn until it is closed. */
  async inTurn<T>(
    run: (connection: AsyncConnection, state: SessionState) => Promise<T>,
    open: Closable | null = null,
  ): Promise<T> {
    let wasLost = false;
    try {
      const turn = this.#takeTurn(undefined);
      if (turn !== null) await turn;
      wasLost = this.#connection!.closed;
      this.#open = open;
      try {
        return await run(this.#connection!, this.state);
      } finally {
        this.#open = null;
        this.#endTurn();
      }
    } catch (error) {
      throw withServerFields(this.asLoss(error, wasLost));
    }
  }

  /** Takes the turn; returns the wait for it, or null if it was free. Throws if statements are refused. */
  #takeTurn(signal: AbortSignal | undefined): Promise<void> | null {
    const { refusal } = this;
    if (refusal !== null) throw refusal;
    return this.#turns.take() ? null : this.#turns.wait(signal);
  }

  #endTurn(): void {
    if (this.#turns.end()) this.onIdle?.();
  }

  /** The error of a statement that ended with its connection, with node-postgres's message, unless the server told it why. */
  asLoss(error: unknown, wasLost: boolean): unknown {
    const isLoss =
      this.#connection?.closed === true &&
      error !== this.refusal &&
      (error instanceof errors.OperationalError || error instanceof errors.InterfaceError) &&
      (wasLost || error.sqlstate === null);
    if (!isLoss) return error;
    const message = this.refusal === null ? `${TERMINATED} unexpectedly` : TERMINATED;
    return new errors.OperationalError(message, {
      cause: error,
      query: error.query,
      sqlstate: error.sqlstate,
    });
  }
}

/** What node-postgres says of a connection that has ended. */
export const TERMINATED = 'Connection terminated';
