import { setImmediate } from 'node:timers';
import { copyDataHead, FrontendWriter } from '../wire/frontend-writer.js';
import { haveTypes, PreparedStatements, oidsOf, type ServerStatement } from './prepared-statements.js';
import { shortcuts } from './shortcuts.js';
import { hasFixedColumns, mentionsClient, type UserChange } from '../sql-statement.js';
import type { Segment, StatementReply } from './reply.js';
import type { ServerSettings } from './server-settings.js';
import type { SentParam, StatementRequest } from './statement.js';
import type { Transport } from './transport.js';

const NO_PARAMS: readonly SentParam[] = [];
/** The name of no statement: closing an unknown statement is no error. */
const NO_STATEMENT = '_pg3_none';
const ONE_WITHOUT_PARAMS = [NO_PARAMS];
/** Bytes of a pipeline that are written at once. */
const PACKET = 32_768;
/** From this size, a piece of a COPY is written separately, since copying it would take longer than an additional write. */
const LARGE = 8192;
const COPY_REFUSED = 'COPY is not possible with execute()';

/**
 * Writes statements as messages of the extended protocol: all executions of a statement under one Sync, in one round trip whether
 * the statement is prepared or not.
 */
export class ExtendedQuery {
  readonly #transport: Transport;
  readonly #settings: ServerSettings;
  readonly #writer = new FrontendWriter();
  readonly #prepared = new PreparedStatements();
  /** Statements whose Parse is in flight, with the pipeline's segment that contains it, if any. */
  readonly #parsing = new Map<ServerStatement, Segment | null>();
  #flushScheduled = false;
  #flushDelayed = false;

  constructor(transport: Transport, settings: ServerSettings) {
    this.#transport = transport;
    this.#settings = settings;
  }

  /**
   * Writes Parse, Bind, Describe and Execute as needed. Adds one Sync unless the statement is part of a segment or its exchange
   * continues: if any message fails, including a BEGIN sent with it, the server skips the rest. Returns false if the statement
   * must wait until the server has confirmed the prepared statement that it uses.
   */
  send(reply: StatementReply, begin: string | null): boolean {
    const before = this.#writer.length;
    const { request } = reply.entry;
    if (request.signal !== undefined && reply.segment === null) this.#writePing(reply);
    if (request.portal !== undefined) this.#writePortal(reply, begin, request.portal);
    else if (!this.#writeStatement(reply, begin)) return false;
    if (reply.segment !== null) {
      // The Sync of the segment ends it.
    } else if (request.exchange === undefined) {
      reply.synced = true;
      this.#writer.sync();
    } else {
      this.#writer.flush();
    }
    reply.bytes = this.#writer.length - before;
    if (reply.segment !== null) this.#flushLater();
    else this.#scheduleFlush();
    return true;
  }

  #writeStatement(reply: StatementReply, begin: string | null): boolean {
    const { request } = reply.entry;
    const executions = request.executions ?? ONE_WITHOUT_PARAMS;
    const prepare =
      executions.length > 1 && request.prepare === undefined && request.policy.threshold !== null
        ? true
        : request.prepare;
    // A single execution uses nothing again.
    const used: ServerStatement[] | null = executions.length === 1 ? null : [];
    let unnamed = null as ServerStatement | null;
    for (const params of executions) {
      let statement = this.#prepared.choose(request.text, params, prepare, request.policy);
      if (reply.executions.length === 0) {
        if (statement !== null && this.#mustAwaitParse(statement, reply.segment)) return false;
        if (begin !== null) this.#writeBegin(reply, begin);
      }
      this.#closeEvicted(reply);
      if (statement === null) {
        if (unnamed === null || !haveTypes(params, unnamed.types))
          unnamed = unnamedStatement(request.text, params);
        statement = unnamed;
      }
      const again = used?.includes(statement) === true;
      if (!again) used?.push(statement);
      this.#execute(reply, statement, params, again);
    }
    return true;
  }

  /**
   * Whether the Parse of a statement must be answered before it is used again. If it failed, or was skipped, only the rest of its
   * own segment would be skipped as well; any other statement would get an error that it would not get alone.
   */
  #mustAwaitParse(statement: ServerStatement, segment: Segment | null): boolean {
    const parsedIn = this.#parsing.get(statement);
    return parsedIn !== undefined && (segment === null || parsedIn !== segment);
  }

  /**
   * Writes a message that the server answers at once, for a statement that may be cancelled. No answer then means that the server
   * is unreachable.
   */
  #writePing(reply: StatementReply): void {
    this.#writer.closeStatement(NO_STATEMENT);
    this.#writer.flush();
    reply.pingedAt = performance.now();
  }

  #closeEvicted(reply: StatementReply): void {
    const names = this.#prepared.takeEvicted();
    if (names.length === 0) return;
    for (const name of names) this.#writer.closeStatement(name);
    reply.closing = [...reply.closing, ...names];
  }

  /** Ends a segment of a pipeline by a Sync. */
  syncSegment(): void {
    this.#writer.sync();
    this.flush();
  }

  /** Makes the server send its pending answers of a segment. */
  flushSegment(): void {
    this.#writer.flush();
    this.flush();
  }

  /** Makes the server send all pending answers; leaves together with the next messages. */
  writeFlush(): void {
    this.#writer.flush();
  }

  #execute(
    reply: StatementReply,
    statement: ServerStatement,
    params: readonly SentParam[],
    again: boolean,
  ): void {
    const { request } = reply.entry;
    if (!again && !statement.ready && !this.#parsing.has(statement)) {
      this.#writer.parse(statement.name, request.text, params);
      reply.parsing = [...reply.parsing, statement];
      if (statement.name !== '') this.#parsing.set(statement, reply.segment);
    }
    const { fields } = statement;
    // In a foreign encoding, each row is checked for bytes beyond ASCII, which requires the text format.
    const mayBeBinary = shortcuts.taken && this.#settings.foreignEncoding === null;
    const plan = fields != null && mayBeBinary ? (request.rows?.planFor?.(fields) ?? null) : null;
    this.#writer.bind(statement.name, params, plan?.formats);
    // The columns are unknown before the first answer, so executions sent before it need a Describe, too.
    const described = fields === undefined && !(again && statement.fixed);
    if (described) this.#writer.describePortal();
    this.#writer.execute(request.exchange?.rowsAtATime);
    // During a COPY FROM STDIN the server ignores a Sync, and ends the connection at any other message. So the end of the data follows
    // at once; the server ignores it if there is no such COPY.
    if (request.exchange === undefined && !statement.fixed && mentionsClient(request.text))
      this.#writer.copyFail(COPY_REFUSED);
    reply.executions.push({ statement, described, isBegin: false, plan });
  }

  #writePortal(
    reply: StatementReply,
    begin: string | null,
    { act, name }: NonNullable<StatementRequest['portal']>,
  ): void {
    if (begin !== null) this.#writeBegin(reply, begin);
    if (act === 'describe') this.#writer.describePortal(name);
    else this.#writer.closePortal(name);
  }

  #writeBegin(reply: StatementReply, begin: string): void {
    const statement: ServerStatement = { name: '', types: [], ready: false, fixed: true, fields: null };
    this.#writer.parse('', begin, NO_PARAMS);
    this.#writer.bind('', NO_PARAMS);
    this.#writer.execute();
    reply.parsing = [...reply.parsing, statement];
    reply.executions.push({ statement, described: false, isBegin: true, plan: null });
  }

  /** Handles the end of a statement's answer. Statements that the server did not confirm are not prepared, or not closed. */
  answered(reply: StatementReply): void {
    if (reply.closing.length > 0) this.#prepared.closeAgain(reply.unclosed);
    for (const statement of reply.parsing) {
      this.#parsing.delete(statement);
      if (!statement.ready) this.#prepared.forget(reply.entry.request.text, statement);
    }
  }

  /** Discards all prepared statements: a changed table or type is likely to invalidate several of them. */
  discardPrepared(): void {
    this.#prepared.discardAll();
  }

  /** The user has changed, for whom names may stand for other tables; null: it is not known to whom, or for how long. */
  userChanged(change: UserChange | null): void {
    this.#prepared.userChanged(change);
  }

  /** No transaction is open any more. `schemaMayHaveChanged`: its changes to the schema may have been undone. */
  transactionEnded(schemaMayHaveChanged: boolean): void {
    this.#prepared.transactionEnded(schemaMayHaveChanged);
  }

  /** The server has deallocated all prepared statements. */
  deallocated(): void {
    this.#prepared.clear();
  }

  /** Ends a COPY FROM STDIN that has no data source, unless its end has been sent with it. */
  refuseCopy({ protocol, entry }: StatementReply): void {
    if (protocol === 'extended' && entry.request.exchange === undefined) return;
    this.#writer.copyFail(COPY_REFUSED);
    this.flush();
  }

  /** Ends a statement that was sent without a Sync. */
  sync(reply: StatementReply): void {
    if (reply.synced) return;
    reply.synced = true;
    this.#writer.sync();
    this.flush();
  }

  /** Writes a piece of a COPY FROM STDIN. Returns true if the network has taken it; otherwise `written` is called once it has. */
  copyData(data: Uint8Array, written: () => void): boolean {
    if (data.length < LARGE) {
      this.#flushScheduled = false;
      this.#writer.copyData(data);
      return this.#transport.writeAll([this.#writer.take()], written);
    }
    this.flush();
    return this.#transport.writeAll([copyDataHead(data.length), data], written);
  }

  /** Ends a COPY FROM STDIN, with an error if there is a `reason`. */
  endCopy(reply: StatementReply, reason: string | null): void {
    if (reason === null) this.#writer.copyDone();
    else this.#writer.copyFail(reason);
    // In the simple protocol, the end of the data also ends the statement.
    if (reply.protocol === 'simple') this.flush();
    else this.sync(reply);
  }

  /** Requests more rows of the running statement. */
  fetch(rows: number): void {
    this.#writer.execute(rows);
    this.#writer.flush();
    this.flush();
  }

  /** Ends a statement that has more rows. */
  closePortal(reply: StatementReply): void {
    this.#writer.closePortal();
    this.sync(reply);
  }

  /** Writes a Terminate message. */
  terminate(): void {
    this.#writer.terminate();
    this.flush();
  }

  /** Schedules a flush, so that everything written in one turn of the event loop leaves in one packet, if it fits. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // A resolved promise costs half of queueMicrotask(), which creates an async resource for each call.
    void RESOLVED.then(this.#flush);
  }

  /**
   * Schedules a later flush. No caller waits for a pipelined statement yet, so it leaves with others of the same turn of the
   * event loop.
   */
  #flushLater(): void {
    if (this.#writer.length >= PACKET) {
      this.flush();
    } else if (!this.#flushScheduled && !this.#flushDelayed) {
      this.#flushDelayed = true;
      setImmediate(() => {
        this.#flushDelayed = false;
        this.flush();
      });
    }
  }

  readonly #flush = (): void => {
    this.flush();
  };

  /** Sends the written messages now, ahead of what others write. */
  flush(): void {
    this.#flushScheduled = false;
    if (!this.#writer.empty) this.#transport.write(this.#writer.take());
  }
}

const RESOLVED = Promise.resolve();

function unnamedStatement(text: string, params: readonly SentParam[]): ServerStatement {
  return { name: '', types: oidsOf(params), ready: false, fixed: hasFixedColumns(text), fields: undefined };
}
