import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import { AsyncConnection, errors, type Notify } from '../../index.js';
import { submit } from './submitted.js';
import { promiseOr, type Callback } from './callbacks.js';
import { Configuration, type ClientConfig, type Password } from './config.js';
import type { ConnectionParameters } from './connection-parameters.js';
import { sqlstateOf, withServerFields } from './database-error.js';
import { defaults } from './defaults.js';
import { escapeIdentifier, escapeLiteral } from './escape.js';
import type { QueryArrayResult, QueryResult } from './result.js';
import { noticeOf, notificationOf, statusLetterOf } from './server-messages.js';
import { SessionState } from './session-state.js';
import {
  callbackOf,
  type AnyRow,
  type ArrayRow,
  type Listener,
  type QueryArrayConfig,
  type QueryConfig,
  type QueryResultRow,
  type QueryResults,
  type Values,
} from './statement.js';
import { Statements, TERMINATED } from './statements.js';
import { isSubmittable, type Submittable } from './submit.js';
import type { TypeParser } from './type-parsers.js';

/** The key of a client's method that detaches it from a connection that goes back to its pool. */
export const DETACH: unique symbol = Symbol('usingpg.pg.detach');

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
export class Client extends EventEmitter {
  readonly #configuration: Configuration;
  readonly #statements: Statements;
  #phase: 'new' | 'connecting' | 'ready' | 'ended' = 'new';
  /** The attempt to connect, and what ends it. */
  #connecting: Promise<this> | null = null;
  #attempt: AbortController | null = null;
  /** Whether the callback of a statement runs. */
  #isCallingBack = false;
  /** The events of the connection that somebody listens to, and what ends listening to them, once the connection is there. */
  #serverEvents: Map<ServerEvent, (() => void) | null> | null = null;

  /** A pool gives the statements of a checkout. Raises `ProgrammingError` for an invalid connection string. */
  constructor(config?: string | ClientConfig | null, checkout?: Statements) {
    super();
    if (checkout === undefined) {
      this.#configuration = new Configuration(config);
      const state = new SessionState(this.#configuration.config);
      this.#statements = new Statements(this.#configuration, state, null);
    } else {
      this.#configuration = checkout.configuration;
      this.#statements = checkout;
      this.#phase = 'ready';
      checkout.state.giveTo(this);
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
    let connection: AsyncConnection;
    try {
      connection = await AsyncConnection.connect(this.#configuration.conninfo, {
        autocommit: true,
        // Statements without a name are not prepared by default, which is said for each of them.
        prepareThreshold: config.prepareThreshold ?? undefined,
        signal: attempt.signal,
      });
    } catch (error) {
      this.#refuse(withServerFields(error) as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#phase = 'ready';
    this.#statements.connected(connection, () => {
      this.#receive();
      this.emit('connect');
    });
    return this;
  }

  /** Tells that the connection was lost, after its statements were told. */
  #onLost(loss: Error): void {
    process.nextTick(() => {
      if (this.#phase !== 'ready' || this.#statements.isReleased) return;
      const error = withServerFields(this.#statements.asLoss(loss, false));
      this.#statements.refuseWaiting(error);
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

  /** Refuses the waiting and all later statements. */
  #refuse(reason: Error): void {
    this.#phase = 'ended';
    this.#statements.refuse(reason);
    this.#statements.refuseWaiting(reason);
  }

  /** Closes the connection; a running statement is cancelled, and waiting ones are refused. */
  end(): Promise<void>;
  end(callback: Callback<[]>): void;
  end(callback?: Callback<[]>): Promise<void> | undefined {
    return promiseOr(this.#end(), callback, () => []);
  }

  async #end(): Promise<void> {
    const statements = this.#statements;
    const closed = new errors.InterfaceError('Client was closed and is not queryable');
    if (this.#phase === 'new') {
      // As in node-postgres, the client may still connect.
      statements.refuseWaiting(closed);
      return;
    }
    if (statements.refusal === null) {
      statements.refuse(closed);
      if (this.pipeline) {
        await new Promise<void>((resolve) => {
          statements.whenDone(resolve);
        });
      }
      statements.refuseWaiting(closed);
      // Who ends the client need not handle that the attempt to connect is over.
      this.#connecting?.catch(() => undefined);
      this.#attempt?.abort(new errors.InterfaceError(TERMINATED));
    }
    const isOpen = this.#phase === 'ready' && !statements.isReleased;
    this.#phase = 'ended';
    await statements.connection?.close();
    if (isOpen) this.emit('end');
  }

  /** Detaches the client from a connection that goes back to its pool. @internal */
  [DETACH](): void {
    if (this.#serverEvents !== null) for (const remove of this.#serverEvents.values()) remove?.();
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
    const callsBack = this.#marked(callbackOf(query, values, callback));
    if (isSubmittable(query)) {
      submit(query, this.#statements, callsBack);
      return query;
    }
    return promiseOr(this.#statements.execute(query, values), callsBack, (results) => [results]);
  }

  /** The callback of a statement, during which the client knows that it runs. */
  #marked(callback: Callback<[QueryResults]> | undefined): Callback<[QueryResults]> | undefined {
    if (callback === undefined) return undefined;
    return (...given) => {
      this.#isCallingBack = true;
      try {
        callback(...given);
      } finally {
        this.#isCallingBack = false;
      }
    };
  }

  /** Whether a transaction is open: `I` no, `T` yes, `E` it has failed; null while a statement runs, and without a connection. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null {
    const status = this.#statements.connection?.info.transactionStatus;
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

  /** Listens to the connection only if somebody listens here. */
  #listenFor(event: string | symbol): void {
    if (event === 'drain') {
      if (this.#statements.onIdle !== null) return;
      this.#statements.onIdle = () => {
        this.#onIdle();
      };
      // The last statement has ended before its callback, in which there is still time to listen.
      if (this.#isCallingBack) this.#onIdle();
      return;
    }
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
    const { connection } = this.#statements;
    for (const [event, remove] of this.#serverEvents ?? []) {
      if (remove === null) this.#serverEvents!.set(event, this.#hear(event, connection!));
    }
  }

  /** All statements are done. */
  #onIdle(): void {
    // After the callback of the last statement, which may add another one.
    process.nextTick(() => {
      const { areDone, isReleased } = this.#statements;
      if (areDone && this.#phase === 'ready' && !isReleased) this.emit('drain');
    });
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
    return this.#statements.connection?.info.backendPid ?? null;
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
    this.#statements.state.types.setTypeParser(oid, format, parse);
  }

  /** Returns the parser of a type. */
  getTypeParser(oid: number, format?: string): TypeParser {
    return this.#statements.state.types.getTypeParser(oid, format);
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
