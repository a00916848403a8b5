import { ProtocolViolation, type Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowDecoderSource, RowPlan } from '../wire/row-decoder.js';
import type { Conversation, RowBatch } from './conversation.js';
import type { PreparePolicy, ServerStatement } from './prepared-statements.js';

/** A parameter as it is sent: its text (null for NULL) and the oid of its type (0: the server decides). */
export interface SentParam {
  readonly text: string | null;
  readonly oid: number;
}

/** A query as it may be shown, or what makes a text of it, so that it costs nothing where nobody looks. */
export type ShownQuery = string | (() => string);

/** A statement to be executed. */
export interface StatementRequest {
  /** SQL with `$1` … placeholders. */
  readonly text: string;
  /** One list of parameters for each execution. None: the simple protocol, where several statements may stand in a text. */
  readonly executions: readonly (readonly SentParam[])[] | null;
  /** What begins a transaction, if none is open when the statement's turn comes; null to run outside of one. */
  readonly begin: string | null;
  /** Do nothing unless a transaction is open, or unless none is, when the statement's turn comes. */
  readonly onlyIf?: 'in transaction' | 'idle';
  /** How the rows are made as they arrive; null: nobody wants them. */
  readonly rows: RowDecoderSource | null;
  /** true: prepare now; false: don't; undefined: as `policy` says. */
  readonly prepare?: boolean | undefined;
  readonly policy: PreparePolicy;
  readonly signal?: AbortSignal | undefined;
  /**
   * What the server says counts, even where the caller has lost interest since: it ends a transaction, say, and whoever has aborted
   * it has to know whether it did.
   */
  readonly decisive?: boolean;
  /** No statement, but a portal to be described, in a result without a tag, or closed, which is no error if it is not there. */
  readonly portal?: { readonly act: 'describe' | 'close'; readonly name: string };
  /** The text with `$1` … in place of values, or what makes it, where `text` has values in it that are for the server only. */
  readonly shown?: ShownQuery | undefined;
  /** Called just before it rejects, with the results of its executions before the one that it has failed at. */
  readonly failedAfter?: (results: readonly StatementResult[]) => void;
  /** Who goes on talking with the server, if anybody does; then there is one execution. */
  readonly conversation?: Conversation;
}

/** One result of a statement. */
export interface StatementResult {
  /** The columns, or null for a result without rows (an INSERT without RETURNING, say). */
  readonly fields: readonly Field[] | null;
  readonly rows: readonly unknown[];
  /** What has made the rows; null where nothing has. */
  readonly decoder: RowDecoder | null;
  /** The command's tag, such as `SELECT 3`; null for an empty statement. */
  readonly tag: string | null;
}

/** How a statement goes to the server: through postgres.js, or by messages of our own. */
export type Route = 'engine' | 'lane';

/** One Bind and Execute that has been sent. */
export interface Execution {
  readonly statement: ServerStatement;
  readonly described: boolean;
  /** A BEGIN that rides along: its result is nobody's. */
  readonly hidden: boolean;
  /** How its rows were asked for, where the columns were known; null: as text. */
  readonly plan: RowPlan | null;
}

const NONE: readonly never[] = [];

/** A statement on its way: waiting for its turn, or sent and gathering its answer. @internal */
export class PendingStatement {
  readonly request: StatementRequest;
  /** Whether others may be sent before this one has been answered. */
  transparent: boolean;
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (reason: unknown) => void;

  route: Route = 'engine';
  /** Whether it stands in a pipeline, where a Sync ends several statements and each is complete by itself. */
  pipelined = false;
  /** How many transactions the statements that this Sync ends have begun, if it is the Sync of a pipeline; else null. */
  syncs: number | null = null;
  /** The statements that are closed on the server on its way, in this order. */
  closing: readonly string[] = NONE;
  #closed = 0;
  /** Whether the Sync behind it has been written, so that ReadyForQuery is going to end it. */
  synced = true;
  settled = false;
  sent = false;
  /** What it rejects with whatever the server answers: the reason of an abort. */
  abandonReason: { readonly reason: unknown } | null = null;
  /** Whether its transaction has been begun for it, ahead of it. */
  begunAhead = false;
  /** Whether it has been sent again, since what it had prepared was not valid any more. */
  sentAgain = false;
  /** A cancel request is to be sent as soon as it runs. */
  cancelWhenRunning = false;
  onSettled: (() => void) | null = null;
  error: Error | null = null;
  results: StatementResult[] = [];

  /** Statements the server is yet to confirm, in the order they were sent. */
  parsing: readonly ServerStatement[] = NONE;
  executions: Execution[] = [];
  #parsed = 0;
  #executed = 0;

  /** Whether the server has stopped after as many rows as it was asked for. */
  suspended = false;
  /** Where a COPY is: its data are under way, or those of a COPY OUT are complete. */
  #copying: 'in' | 'out' | 'done' | null = null;
  #fields: readonly Field[] | null = null;
  /** Whether it is known what columns the result has, if any. */
  #isDescribed = false;
  decoder: RowDecoder | null = null;
  rows: unknown[] = [];
  /** How many bytes the rows were. */
  bytes = 0;

  constructor(
    request: StatementRequest,
    transparent: boolean,
    resolve: (results: readonly StatementResult[]) => void,
    reject: (reason: unknown) => void,
  ) {
    this.request = request;
    this.transparent = transparent;
    this.resolve = resolve;
    this.reject = reject;
  }

  /** Back to the state of one that has not been sent. */
  sendAgain(): void {
    this.sentAgain = true;
    this.sent = false;
    this.error = null;
    this.results = [];
    this.closing = NONE;
    this.#closed = 0;
    this.parsing = NONE;
    this.executions = [];
    this.#parsed = 0;
    this.#executed = 0;
    this.#fields = null;
    this.#isDescribed = false;
    this.#copying = null;
    this.decoder = null;
    this.rows = [];
  }

  onCloseComplete(): void {
    this.#closed++;
  }

  /** What the server has not closed: it skips what comes behind an error. */
  get unclosed(): readonly string[] {
    return this.closing.slice(this.#closed);
  }

  onParseComplete(): void {
    const statement = this.parsing[this.#parsed++];
    if (statement === undefined) throw outOfOrder('a ParseComplete');
    statement.ready = true;
  }

  /** A statement that is not described again has the columns it had when it was prepared. */
  onBindComplete(): void {
    const execution = this.executions[this.#executed];
    if (execution === undefined) throw outOfOrder('a BindComplete');
    if (!execution.described) this.#setFields(execution.statement.fields ?? null, execution.plan);
  }

  onDescription(fields: readonly Field[] | null): void {
    const execution = this.executions[this.#executed];
    const { portal } = this.request;
    const isExpected =
      portal === undefined
        ? this.route === 'engine' || execution?.described === true
        : portal.act === 'describe' && execution === undefined && this.results.length === 0;
    if (!isExpected || this.#fields !== null) throw outOfOrder('a RowDescription');
    if (execution?.statement.fixed === true) execution.statement.fields = fields;
    this.#setFields(fields);
    if (portal !== undefined) this.results.push({ fields, rows: [], decoder: this.decoder, tag: null });
  }

  /** A row has arrived: its columns have to be known. */
  expectRow(): void {
    if (this.#fields === null || this.suspended) throw outOfOrder('a row');
  }

  /** There are more rows than were asked for. */
  onSuspended(): void {
    if (this.#fields === null || this.suspended || !this.request.conversation?.rowsAtATime) {
      throw outOfOrder('a PortalSuspended');
    }
    this.suspended = true;
  }

  onCopy(direction: 'in' | 'out'): void {
    if (this.#copying !== null || (this.route === 'lane' && this.complete))
      throw outOfOrder('a CopyResponse');
    this.#copying = direction;
  }

  /** A piece of the data of a COPY OUT has arrived. */
  expectCopyData(): void {
    if (this.#copying !== 'out') throw outOfOrder('data of a COPY');
  }

  onCopyDone(): void {
    if (this.#copying !== 'out') throw outOfOrder('a CopyDone');
    this.#copying = 'done';
  }

  /** A statement is complete; `tag` is null if it was empty. */
  onComplete(tag: string | null): void {
    const execution = this.executions[this.#executed];
    // What was not described, or is not complete, would pass for a result without columns, or rows.
    const isExpected =
      this.route === 'engine' || (execution !== undefined && (this.#isDescribed || this.#copying !== null));
    if (!isExpected || this.#copying === 'out' || this.suspended) throw outOfOrder('a CommandComplete');
    this.#executed++;
    if (execution?.hidden !== true) {
      this.results.push({
        fields: tag === null ? null : this.#fields,
        rows: this.rows,
        decoder: this.decoder,
        tag,
      });
    }
    this.rows = [];
    this.#fields = null;
    this.#isDescribed = false;
    this.#copying = null;
    this.decoder = null;
  }

  /** The server is ready for the next: it has failed, or was left, or there is all of its answer. */
  expectEnd(): void {
    const { portal, conversation } = this.request;
    if (this.error !== null || conversation?.left === true) return;
    const isDone =
      portal === undefined
        ? this.#fields === null && (this.route === 'engine' ? this.results.length > 0 : this.complete)
        : this.complete && this.results.length === (portal.act === 'describe' ? 1 : 0);
    if (!isDone) throw outOfOrder('a ReadyForQuery');
  }

  /** Whether all its executions have been answered. */
  get complete(): boolean {
    return this.#executed === this.executions.length;
  }

  /** The rows so far, which are handed on before the statement is complete. */
  takeBatch(): RowBatch {
    const batch = { rows: this.rows, fields: this.#fields, decoder: this.decoder, bytes: this.bytes };
    this.rows = [];
    this.bytes = 0;
    return batch;
  }

  /** It has failed: what there is of its rows is still somebody's. */
  handOver(): void {
    if (this.rows.length > 0) this.request.conversation?.onLastRows(this.takeBatch());
  }

  #setFields(fields: readonly Field[] | null, plan: RowPlan | null = null): void {
    this.#fields = fields;
    this.#isDescribed = true;
    this.decoder = fields === null ? null : (plan?.decoder ?? this.request.rows?.decoderFor(fields) ?? null);
  }
}

function outOfOrder(what: string): ProtocolViolation {
  return new ProtocolViolation(`${what} where none can be`);
}
