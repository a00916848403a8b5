import { copyDataHead, FrontendWriter } from '../wire/frontend-writer.js';
import { haveTypes, PreparedStatements, oidsOf, type ServerStatement } from './prepared-statements.js';
import { shortcuts } from './shortcuts.js';
import { hasFixedColumns } from './statement-text.js';
import type { PendingStatement, SentParam, StatementRequest } from './statement.js';

const NO_PARAMS: readonly SentParam[] = [];
/** How much of a pipeline is written at once, bytes. */
const PACKET = 32_768;
/** A piece of a COPY of so many bytes goes as it is: to copy it would take longer than to write it by itself. */
const LARGE = 8192;

/** The socket, as far as it is written to. */
export interface Outlet {
  write(bytes: Buffer): void;
  /**
   * Writes pieces together. Returns whether the network has taken them all, so that their memory may be used again; else `written`
   * is called when it has.
   */
  writeAll(pieces: readonly Uint8Array[], written: () => void): boolean;
}

/**
 * The way of statements that do not go through postgres.js: messages of the extended protocol, all executions of a statement
 * under one Sync, in one round trip whether it is prepared or not.
 */
export class Lane {
  /** Whether no result is to come in the binary format. */
  textOnly = false;
  readonly #outlet: Outlet;
  readonly #writer = new FrontendWriter();
  readonly #prepared = new PreparedStatements();
  /** Statements whose Parse is in flight. */
  readonly #parsing = new Set<ServerStatement>();
  #flushScheduled = false;
  #flushDelayed = false;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /**
   * Sends Parse, Bind, Describe and Execute as needed, and one Sync: if any of it fails, a BEGIN that rides along included, the
   * server skips the rest. Returns false if it has to wait until the server has confirmed the statement it uses.
   */
  send(pending: PendingStatement, begin: string | null): boolean {
    const { request } = pending;
    if (request.portal !== undefined) {
      this.#sendPortal(pending, begin, request.portal);
      return true;
    }
    const executions = request.executions ?? [NO_PARAMS];
    const prepare =
      executions.length > 1 && request.prepare === undefined && request.policy.threshold !== null
        ? true
        : request.prepare;
    const used: ServerStatement[] = [];
    let unnamed = null as ServerStatement | null;
    for (const params of executions) {
      let statement = this.#prepared.choose(request.text, params, prepare, request.policy);
      if (used.length === 0) {
        // One that fails to be parsed would fail its successors in another way than on their own: it is not there.
        if (!pending.pipelined && statement !== null && this.#parsing.has(statement)) return false;
        if (begin !== null) this.#begin(pending, begin);
      }
      this.#closeEvicted(pending);
      if (statement === null) {
        if (unnamed === null || !haveTypes(params, unnamed.types))
          unnamed = unnamedStatement(request.text, params);
        statement = unnamed;
      }
      const again = used.includes(statement);
      if (!again) used.push(statement);
      this.#execute(pending, statement, params, again);
    }
    if (pending.pipelined) {
      // The Sync of the pipeline ends it.
    } else if (request.conversation === undefined) {
      this.#writer.sync();
    } else {
      pending.synced = false;
      this.#writer.flush();
    }
    if (pending.pipelined) this.#flushLater();
    else this.#scheduleFlush();
    return true;
  }

  #closeEvicted(pending: PendingStatement): void {
    const names = this.#prepared.takeEvicted();
    if (names.length === 0) return;
    for (const name of names) this.#writer.closeStatement(name);
    pending.closing = [...pending.closing, ...names];
  }

  /** Ends the statements of a pipeline. */
  syncPipeline(): void {
    this.#writer.sync();
    this.flush();
  }

  /** Has the server send what it has of a pipeline's answers. */
  flushPipeline(): void {
    this.#writer.flush();
    this.flush();
  }

  #execute(
    pending: PendingStatement,
    statement: ServerStatement,
    params: readonly SentParam[],
    again: boolean,
  ): void {
    if (!again && !statement.ready && !this.#parsing.has(statement)) {
      this.#writer.parse(statement.name, pending.request.text, params);
      pending.parsing = [...pending.parsing, statement];
      if (statement.name !== '') this.#parsing.add(statement);
    }
    const { rows, conversation } = pending.request;
    const { fields } = statement;
    const plan =
      fields != null && shortcuts.taken && !this.textOnly ? (rows?.planFor?.(fields) ?? null) : null;
    this.#writer.bind(statement.name, params, plan?.formats);
    // As long as no answer is in, the columns are not known: whoever is sent before that asks for them as well.
    const described = fields === undefined && !(again && statement.fixed);
    if (described) this.#writer.describePortal();
    this.#writer.execute(conversation?.rowsAtATime);
    pending.executions.push({ statement, described, hidden: false, plan });
  }

  #sendPortal(
    pending: PendingStatement,
    begin: string | null,
    { act, name }: NonNullable<StatementRequest['portal']>,
  ): void {
    if (begin !== null) this.#begin(pending, begin);
    if (act === 'describe') this.#writer.describePortal(name);
    else this.#writer.closePortal(name);
    this.#writer.sync();
    this.#scheduleFlush();
  }

  #begin(pending: PendingStatement, begin: string): void {
    const statement: ServerStatement = { name: '', types: [], ready: false, fixed: true, fields: null };
    this.#writer.parse('', begin, NO_PARAMS);
    this.#writer.bind('', NO_PARAMS);
    this.#writer.execute();
    pending.parsing = [...pending.parsing, statement];
    pending.executions.push({ statement, described: false, hidden: true, plan: null });
  }

  /** The server is done with a statement: what it did not confirm is not prepared, or not closed. */
  answered(pending: PendingStatement): void {
    if (pending.closing.length > 0) this.#prepared.closeAgain(pending.unclosed);
    for (const statement of pending.parsing) {
      this.#parsing.delete(statement);
      if (!statement.ready) this.#prepared.forget(pending.request.text, statement);
    }
  }

  /** Whether a text without parameters is prepared, or is to be. One that isn't counts as executed. */
  wants(request: StatementRequest): boolean {
    const { text, prepare, policy } = request;
    if (this.#prepared.reaches(text, NO_PARAMS, prepare, policy)) return true;
    if (prepare !== false && policy.threshold !== null) this.#prepared.count(text, NO_PARAMS);
    return false;
  }

  /** Tables or types that prepared statements use may have changed, or did: one that met it is hardly the only one. */
  discardPrepared(): void {
    this.#prepared.discardAll();
  }

  /** The server has dropped all prepared statements. */
  deallocated(): void {
    this.#prepared.clear();
  }

  /** Ends a COPY FROM STDIN that nobody has data for. */
  refuseCopy(pending: PendingStatement): void {
    this.#writer.copyFail('COPY is not possible with execute()');
    // The Sync of an extended statement has been swallowed by the copy.
    if (pending.route === 'lane' && pending.synced && !pending.pipelined) this.#writer.sync();
    this.flush();
  }

  /** Ends a statement that was sent without a Sync. */
  sync(pending: PendingStatement): void {
    if (pending.synced) return;
    pending.synced = true;
    this.#writer.sync();
    this.flush();
  }

  /** A piece of a COPY FROM STDIN. Returns whether the network has taken it; else `written` is called when it has. */
  copyData(data: Uint8Array, written: () => void): boolean {
    if (data.length < LARGE) {
      this.#flushScheduled = false;
      this.#writer.copyData(data);
      return this.#outlet.writeAll([this.#writer.take()], written);
    }
    this.flush();
    return this.#outlet.writeAll([copyDataHead(data.length), data], written);
  }

  /** Ends a COPY FROM STDIN, well, or with an error if there is a `reason`. */
  endCopy(pending: PendingStatement, reason: string | null): void {
    if (reason === null) this.#writer.copyDone();
    else this.#writer.copyFail(reason);
    // In the simple protocol the end of the data is enough.
    if (pending.synced) this.flush();
    else this.sync(pending);
  }

  /** Asks for more rows of the statement that runs. */
  fetch(rows: number): void {
    this.#writer.execute(rows);
    this.#writer.flush();
    this.flush();
  }

  /** Ends a statement that has rows left. */
  closePortal(pending: PendingStatement): void {
    this.#writer.closePortal();
    this.sync(pending);
  }

  /** Says goodbye. */
  terminate(): void {
    this.#writer.terminate();
    this.flush();
  }

  /** Everything written in one turn of the event loop leaves in one packet, if it fits. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Half of what queueMicrotask() takes, which makes a resource to be watched of each.
    void RESOLVED.then(this.#flush);
  }

  /** Nobody waits for a statement of a pipeline yet: it leaves with those that come in the same turn of the event loop. */
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

  /** What has been written leaves now, ahead of what others write. */
  flush(): void {
    this.#flushScheduled = false;
    if (!this.#writer.empty) this.#outlet.write(this.#writer.take());
  }
}

const RESOLVED = Promise.resolve();

function unnamedStatement(text: string, params: readonly SentParam[]): ServerStatement {
  return { name: '', types: oidsOf(params), ready: false, fixed: hasFixedColumns(text), fields: undefined };
}
