import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import { AsyncConnection, errors, TransactionStatus, type Notify } from '../../index.js';
import { submit } from './submitted.js';
import { promiseOr, type Callback } from './callbacks.js';
import { Configuration, type ClientConfig, type Password } from './config.js';
import type { ConnectionParameters } from './connection-parameters.js';
import { sqlstateOf, withServerFields } from './database-error.js';
import { defaults } from './defaults.js';
import { escapeIdentifier, escapeLiteral } from './escape.js';
import {
  EXECUTE,
  IN_TURN,
  LEAVE,
  type Closable,
  type InnerClient,
  type TurnOptions,
} from './inner-client.js';
import type { QueryArrayResult, QueryResult } from './result.js';
import { noticeOf, notificationOf, statusLetterOf } from './server-messages.js';
import { SessionState } from './session-state.js';
import {
  callbackOf,
  runStatement,
  statementOf,
  type AnyRow,
  type ArrayRow,
  type Listener,
  type QueryArrayConfig,
  type QueryConfig,
  type QueryResultRow,
  type QueryResults,
  type Statement,
  type Values,
} from './statement.js';
import { isSubmittable, type Submittable } from './submit.js';
import { TimeLimit } from './time-limit.js';
import { checkBefore, checkCommitted, transactionWordOf } from './transactions.js';
import { Turns } from './turns.js';
import type { TypeParser } from './type-parsers.js';

/** A pool's connection for a client. @internal */
export interface Checkout {
  readonly configuration: Configuration;
  readonly connection: AsyncConnection;
  readonly state: SessionState;
}

type ServerEvent = 'loss' | 'notice' | 'notification';

/** What of the connection causes a client's events. */
const SERVER_EVENTS: ReadonlyMap<string | symbol, ServerEvent> = new Map([
  ['error', 'loss'],
  ['end', 'loss'],
  ['notice', 'notice'],
  ['notification', 'notification'],
]);

/**
 * A connection with node-postgres's interface. Each statement is a transaction of its own, unless `BEGIN` was sent; statements of one
 * client are executed one at a time, in the order of the calls.
 *
 * Events: `error` (the connection was lost), `end` (it has ended), `notice`, `notification`, `drain` (all statements are done). Unlike
 * in node-postgres, an `error` without a listener does not end the process: the next statement raises it.
 *
 * @example
 * import { Client } from 'usingpg/pg';
 *
 * const client = new Client({ connectionString: 'postgresql://localhost/app' });
 * await client.connect();
 * const { rows } = await client.query('SELECT name FROM city WHERE id = $1', [1]);
 * await client.end();
 */
export class Client extends EventEmitter implements InnerClient {
  readonly #configuration: Configuration;
  readonly #turns = new Turns(() => {
    this.#drained();
  });
  readonly #state: SessionState;
  #connection: AsyncConnection | null = null;
  #phase: 'new' | 'connecting' | 'ready' | 'released' | 'ended' = 'new';
  #ended: Error | null = null;
  /** The attempt to connect, and what ends it. */
  #connecting: Promise<this> | null = null;
  #attempt: AbortController | null = null;
  /** What has the turn until it is closed. */
  #open: Closable | null = null;
  /** The first error of the open transaction. */
  #failure: unknown = null;
  /** The events of the connection that somebody listens to, and what ends listening to them, once the connection is there. */
  #serverEvents: Map<ServerEvent, (() => void) | null> | null = null;

  /** A pool gives the checkout. Raises `ProgrammingError` for an invalid connection string. */
  constructor(config?: string | ClientConfig | null, checkout?: Checkout) {
    super();
    if (checkout === undefined) {
      this.#configuration = new Configuration(config);
      this.#state = new SessionState(this.#configuration.config);
      // Statements wait for the connection.
      this.#turns.take();
    } else {
      this.#configuration = checkout.configuration;
      this.#state = checkout.state;
      this.#use(checkout.connection);
      this.#state.giveTo(this);
    }
  }

  // --- the connection

  /** Connects. Raises the errors of `AsyncConnection.connect()`, and `OperationalError` after `connectionTimeoutMillis`. */
  connect(): Promise<this>;
  connect(callback: Callback<[client: this]>): void;
  connect(callback?: Callback<[client: this]>): Promise<this> | undefined {
    const connecting = this.#connect();
    this.#connecting ??= connecting;
    return promiseOr(connecting, callback, (client) => [client]);
  }

  async #connect(): Promise<this> {
    if (this.#phase !== 'new') {
      throw new errors.InterfaceError('Client has already been connected. You cannot reuse a client.');
    }
    this.#phase = 'connecting';
    const { connectTimeout, config } = this.#configuration;
    const attempt = (this.#attempt = new AbortController());
    const timer =
      connectTimeout === 0
        ? undefined
        : setTimeout(() => {
            attempt.abort(new errors.ConnectionTimeout('timeout expired'));
          }, connectTimeout);
    try {
      const connection = await AsyncConnection.connect(this.#configuration.conninfo, {
        autocommit: true,
        // Statements without a name are not prepared by default, which is said for each of them.
        prepareThreshold: config.prepareThreshold ?? undefined,
        signal: attempt.signal,
      });
      this.#use(connection);
    } catch (error) {
      this.#refuse(withServerFields(error) as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.emit('connect');
    this.#turns.end();
    return this;
  }

  #use(connection: AsyncConnection): void {
    this.#connection = connection;
    this.#phase = 'ready';
    this.#receive();
  }

  /** Tells that the connection was lost, after its statements were told. */
  #onLost(loss: Error): void {
    process.nextTick(() => {
      if (this.#phase !== 'ready') return;
      const error = withServerFields(this.#asLoss(loss, false));
      this.#turns.refuseAll(error);
      this.#refuse(
        new errors.OperationalError('Client has encountered a connection error and is not queryable', {
          cause: loss,
          sqlstate: sqlstateOf(loss),
        }),
      );
      if (this.listenerCount('error') > 0) this.emit('error', error);
      this.emit('end');
    });
  }

  /** Why statements are refused after the end; null before. Most clients are released and never used again, so that is told on demand. */
  get #reason(): Error | null {
    if (this.#phase !== 'released') return this.#ended;
    return (this.#ended ??= new errors.InterfaceError(
      'the client was released to its pool, and another task may use its connection: take another client with pool.connect()',
    ));
  }

  /** Refuses the waiting and all later statements. */
  #refuse(reason: Error): void {
    this.#phase = 'ended';
    this.#ended = reason;
    this.#turns.refuseAll(reason);
  }

  /** Closes the connection; a running statement is cancelled, and waiting ones are refused. */
  end(): Promise<void>;
  end(callback: Callback<[]>): void;
  end(callback?: Callback<[]>): Promise<void> | undefined {
    return promiseOr(this.#end(), callback, () => []);
  }

  async #end(): Promise<void> {
    const closed = new errors.InterfaceError('Client was closed and is not queryable');
    if (this.#phase === 'new') {
      // As in node-postgres, the client may still connect.
      this.#turns.refuseAll(closed);
      return;
    }
    if (this.#reason === null) {
      this.#ended = closed;
      if (this.pipeline) {
        await new Promise<void>((resolve) => {
          this.#turns.whenIdle(resolve);
        });
      }
      this.#turns.refuseAll(closed);
      // Who ends the client need not handle that the attempt to connect is over.
      this.#connecting?.catch(() => undefined);
      this.#attempt?.abort(new errors.InterfaceError(TERMINATED));
    }
    const isOpen = this.#phase === 'ready';
    this.#phase = 'ended';
    await this.#connection?.close();
    if (isOpen) this.emit('end');
  }

  /** Detaches the client from a connection that goes back to its pool. Calls `done` when its statements have ended. @internal */
  [LEAVE](done: () => void): void {
    if (this.#serverEvents !== null) for (const remove of this.#serverEvents.values()) remove?.();
    if (this.#phase === 'ready') this.#phase = 'released';
    void this.#open?.close().catch(() => undefined);
    this.#turns.whenIdle(done);
  }

  // --- statements

  /**
   * Executes a query: a text or a `QueryConfig`, with values for its `$1`, `$2` …, or a `Cursor` or other submittable, which is returned.
   * Rejects with a `DatabaseError` if the server refuses it, which is also an instance of the library's own class for the SQLSTATE.
   * Raises `ActiveSqlTransaction` for a BEGIN within a transaction, `NoActiveSqlTransaction` for a COMMIT without one,
   * `InFailedSqlTransaction` for a COMMIT that became a rollback, and `InterfaceError` on a client that was released or closed.
   *
   * @example
   * const { rows } = await client.query('SELECT name FROM city WHERE id = $1', [1]);
   * await client.query({ name: 'city', text: 'SELECT name FROM city WHERE id = $1', values: [1], rowMode: 'array' });
   */
  query<T extends Submittable>(submittable: T, callback?: Callback<[QueryResults]>): T;
  query<R extends ArrayRow = ArrayRow, I extends Values = Values>(
    config: QueryArrayConfig<I>,
    values?: I,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    values?: I,
  ): Promise<QueryResult<R>>;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    callback: Callback<[QueryResult<R>]>,
  ): void;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    values: I | undefined,
    callback: Callback<[QueryResult<R>]>,
  ): void;
  query(query: unknown, values?: unknown, callback?: unknown): unknown {
    if (isSubmittable(query)) {
      submit(query, this, callbackOf(query, values, callback));
      return query;
    }
    const callsBack = callbackOf(query, values, callback);
    return promiseOr(this[EXECUTE](query, values), callsBack, (results) => [results]);
  }

  /** Executes a query that is no submittable. @internal */
  [EXECUTE](query: unknown, values: unknown): Promise<QueryResults> {
    let statement: Statement;
    try {
      statement = statementOf(query, values);
    } catch (error) {
      // It fails in its turn, like a statement that the server refuses.
      return this[IN_TURN](() => Promise.reject(error as Error));
    }
    let timeout: number;
    try {
      timeout = statement.timeout ?? this.#configuration.queryTimeout;
    } catch (error) {
      return Promise.reject(error);
    }
    if (timeout !== 0) return this.#executeWithin(timeout, statement);
    return this[IN_TURN]((connection) => this.#run(connection, statement, undefined));
  }

  async #executeWithin(timeout: number, statement: Statement): Promise<QueryResults> {
    const limit = new TimeLimit(timeout, 'Query read timeout');
    try {
      const { signal } = limit;
      return await this[IN_TURN]((connection) => this.#run(connection, statement, signal), { signal });
    } finally {
      limit.end();
    }
  }

  /** Runs something with the connection after all earlier statements. Its errors get node-postgres's fields. @internal */
  async [IN_TURN]<T>(
    run: (connection: AsyncConnection, state: SessionState) => Promise<T>,
    { open, signal }: TurnOptions = NO_TURN_OPTIONS,
  ): Promise<T> {
    let wasLost = false;
    try {
      if (this.#reason !== null) throw this.#reason;
      if (!this.#turns.take()) await this.#turns.wait(signal);
      wasLost = this.#connection!.closed;
      this.#open = open ?? null;
      try {
        return await run(this.#connection!, this.#state);
      } finally {
        this.#open = null;
        this.#turns.end();
      }
    } catch (error) {
      throw withServerFields(this.#asLoss(error, wasLost));
    }
  }

  /** The error of a statement that ended with its connection, with node-postgres's message, unless the server told it why. */
  #asLoss(error: unknown, wasLost: boolean): unknown {
    const isLoss =
      this.#connection?.closed === true &&
      error !== this.#reason &&
      (error instanceof errors.OperationalError || error instanceof errors.InterfaceError) &&
      (wasLost || error.sqlstate === null);
    if (!isLoss) return error;
    const message = this.#reason === null ? `${TERMINATED} unexpectedly` : TERMINATED;
    return new errors.OperationalError(message, {
      cause: error,
      query: error.query,
      sqlstate: error.sqlstate,
    });
  }

  async #run(
    connection: AsyncConnection,
    statement: Statement,
    signal: AbortSignal | undefined,
  ): Promise<QueryResults> {
    const { text = '' } = statement;
    const word = transactionWordOf(text);
    if (word !== null) checkBefore(word, connection.info.transactionStatus, text);
    try {
      const result = await runStatement(connection, this.#state, statement, signal);
      if (word === 'begin') this.#failure = null;
      if (word === 'commit') checkCommitted(result, this.#failure, text);
      return result;
    } catch (error) {
      if (word === null && connection.info.transactionStatus === TransactionStatus.INERROR)
        this.#failure ??= error;
      throw error;
    }
  }

  #drained(): void {
    // After the callback of the last statement, which may add another one, or the listener.
    process.nextTick(() => {
      if (this.#turns.isIdle && this.#phase === 'ready') this.emit('drain');
    });
  }

  /** Whether a transaction is open: `I` no, `T` yes, `E` it has failed; null while a statement runs, and without a connection. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null {
    const status = this.#connection?.info.transactionStatus;
    return status === undefined ? null : statusLetterOf(status);
  }

  // --- events

  override on(event: string | symbol, listener: Listener): this {
    this.#listenFor(event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    this.#listenFor(event);
    return super.prependListener(event, listener);
  }

  /** Listens to the connection only if somebody listens here: most clients of `pool.query()` have no listeners. */
  #listenFor(event: string | symbol): void {
    const heard = SERVER_EVENTS.get(event);
    if (heard === undefined) return;
    this.#serverEvents ??= new Map();
    if (!this.#serverEvents.has(heard)) this.#serverEvents.set(heard, null);
    try {
      if (this.#phase === 'ready') this.#receive();
    } catch (loss) {
      // The connection was lost before there was a listener.
      this.#onLost(loss as Error);
    }
  }

  #receive(): void {
    for (const [event, remove] of this.#serverEvents ?? []) {
      if (remove === null) this.#serverEvents!.set(event, this.#hear(event, this.#connection!));
    }
  }

  /** Listens to an event of the connection; returns what ends that. */
  #hear(event: ServerEvent, connection: AsyncConnection): () => void {
    if (event === 'loss') {
      return connection.onLost((loss) => {
        this.#onLost(loss);
      });
    }
    if (event === 'notice') {
      const onNotice = (notice: errors.Diagnostic): void => {
        this.emit('notice', noticeOf(notice));
      };
      connection.addNoticeHandler(onNotice);
      return () => {
        connection.removeNoticeHandler(onNotice);
      };
    }
    const onNotify = (notify: Notify): void => {
      this.emit('notification', notificationOf(notify));
    };
    connection.addNotifyHandler(onNotify);
    return () => {
      connection.removeNotifyHandler(onNotify);
    };
  }

  // --- what node-postgres's clients show

  /** The host's name, or the directory of the Unix socket. */
  get host(): string {
    return this.#configuration.host;
  }

  /** The server's port. */
  get port(): number {
    return this.#configuration.port;
  }

  /** The role that signs in. */
  get user(): string | undefined {
    return this.#configuration.user;
  }

  /** The database's name. */
  get database(): string | undefined {
    return this.#configuration.database;
  }

  /** The password, or the function that gives it. */
  get password(): Password | null {
    return this.#configuration.password;
  }

  /** What the client connects with. */
  get connectionParameters(): ConnectionParameters {
    return this.#configuration.parameters;
  }

  /** Whether the connection uses TLS, or its options. */
  get ssl(): ConnectionParameters['ssl'] {
    return this.connectionParameters.ssl;
  }

  /** As configured; without effect. */
  get binary(): boolean {
    return this.#configuration.config.binary ?? defaults.binary;
  }

  /** Whether `end()` waits for the statements that were made before. */
  get pipeline(): boolean {
    return this.#configuration.config.pipeline ?? false;
  }

  /** The process id of the backend; null before the connection is there. */
  get processID(): number | null {
    return this.#connection?.info.backendPid ?? null;
  }

  /** Does not exist here: raises `NotSupportedError`. */
  get connection(): never {
    throw new errors.NotSupportedError(
      "client.connection does not exist in usingpg/pg: the protocol is usingpg's own. Use client.query(), a Cursor, or usingpg itself",
    );
  }

  /** Lets the connection keep the process alive, as it always does here. */
  ref(): void {
    // There is nothing to undo: unref() raises.
  }

  /** Does not exist here: raises `NotSupportedError`. */
  unref(): never {
    throw new errors.NotSupportedError(
      'client.unref() is not supported in usingpg/pg: end the client, or use a Pool with allowExitOnIdle: true',
    );
  }

  /** Sets the parser of a type for the session of this client. */
  setTypeParser(oid: number, format: string | TypeParser, parse?: TypeParser): void {
    this.#state.types.setTypeParser(oid, format, parse);
  }

  /** Returns the parser of a type. */
  getTypeParser(oid: number, format?: string): TypeParser {
    return this.#state.types.getTypeParser(oid, format);
  }

  /** Quotes a name for use in SQL. */
  escapeIdentifier(name: string): string {
    return escapeIdentifier(name);
  }

  /** Quotes a string for use in SQL. */
  escapeLiteral(text: string): string {
    return escapeLiteral(text);
  }
}

const NO_TURN_OPTIONS: TurnOptions = {};

const TERMINATED = 'Connection terminated';
