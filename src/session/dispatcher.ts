import * as errors from '../errors/index.js';
import { errorFromResponse } from '../errors/server-error.js';
import {
  checkEmpty,
  ProtocolViolation,
  readCopyFormat,
  readErrorFields,
  readRowDescription,
  readStatusByte,
  readTag,
  type Field,
} from '../wire/backend-messages.js';
import { Backend } from '../wire/protocol.js';
import { BATCH_BYTES } from './limits.js';
import { StatementEntry } from './queue.js';
import type { Reply, StatementReply, SyncReply } from './reply.js';
import type { Sender, SenderParts } from './sender.js';
import { changedWithin, checkReadable, isBeyondAscii, whyNotNamed, whyNotSent } from './server-settings.js';
import {
  copyRefused,
  loadError,
  notReplicated,
  outdated,
  outdatedInTransaction,
  pipelineAborted,
  statementError,
} from './statement-errors.js';
import {
  changesSchema,
  changesUser,
  mayCallFunctions,
  mayChangeSchema,
  mayChangeSettings,
  setsByFunction,
  userChange,
} from '../sql-statement.js';
import { ROLLBACK, shownText, textWithParams } from './statement.js';
import { STATUS_OF_BYTE, TransactionStatus } from './status.js';
import type { ResponseFields } from './transport.js';

const QUERY_CANCELED = '57014';
/** The server's function in which a transaction's end waits for the synchronous standby. */
const SYNC_REPLICATION = 'SyncRepWaitForLSN';

/** The parts of a session that a dispatcher uses. */
export interface DispatcherParts extends SenderParts {
  readonly sender: Sender;
  /** Called after a complete reply: waiting entries may now be sent. */
  onAnswered(): void;
  /** The server reported an error that answers no statement. */
  onStrayError(fields: ResponseFields): void;
}

/** Reads the server's answers: each message belongs to the reply at the head of those in flight. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  /** Whether the open transaction has changed tables or types, which its end may undo. */
  #schemaMayChange = false;
  /** Whether the open transaction may have created a table, which its end may undo. */
  #mayHaveMadeTable = false;
  /** The notice, since the last ReadyForQuery, that a commit did not wait for the synchronous standby. */
  #unreplicated: ResponseFields | null = null;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** A row, decoded as it arrives. */
  onRow(bytes: Buffer, start: number, end: number): void {
    const reply = this.#parts.inFlight.head;
    if (reply?.kind !== 'statement') {
      this.#unexpected('a row that no statement asked for');
      return;
    }
    reply.expectRow();
    const { decoder } = reply;
    if (decoder === null || reply.error !== null) return;
    try {
      const { foreignEncoding } = this.#parts.settings;
      if (foreignEncoding !== null) checkReadable(bytes, start, end, foreignEncoding, reply.entry.request);
      reply.rows.push(decoder.decode(bytes, start, end));
      reply.rowBytes += end - start;
      if (reply.rowBytes >= BATCH_BYTES) this.#handOver(reply);
    } catch (cause) {
      if (cause instanceof ProtocolViolation) throw cause;
      reply.error = loadError(cause, shownText(reply.entry.request));
      reply.handOver();
    }
  }

  /** Passes on the rows of a stream once they have many bytes, so that the reader can pause the server. */
  #handOver(reply: StatementReply): void {
    const { exchange } = reply.entry.request;
    if (exchange !== undefined) exchange.onRows(reply.takeBatch());
    else reply.rowBytes = 0;
  }

  #unexpected(detail: string): void {
    this.#parts.transport.violation(detail, this.awaited);
  }

  /** What is in flight, for the message about a protocol violation. */
  get awaited(): string {
    const { inFlight } = this.#parts;
    const { head } = inFlight;
    if (head === undefined) return 'no answer was awaited';
    const first =
      head.kind === 'sync' ? "a pipeline's Sync" : `'${shownText(head.entry.request).slice(0, 100)}'`;
    if (inFlight.length === 1) return `the answer to ${first} was awaited`;
    return `${String(inFlight.length)} answers were awaited, the first of them to ${first}`;
  }

  /** A message that is part of a statement's answer. */
  onAnswer(type: number, bytes: Buffer, start: number, end: number): void {
    const reply = this.#parts.inFlight.head;
    if (reply?.kind !== 'statement') {
      this.#unexpected(`a message of type '${String.fromCharCode(type)}' that answers nothing`);
      return;
    }
    const { exchange } = reply.entry.request;
    switch (type) {
      case Backend.RowDescription:
        this.#onDescription(reply, readRowDescription(bytes, start, end));
        break;
      case Backend.NoData:
        checkEmpty(start, end);
        reply.onDescription(null);
        break;
      case Backend.ParseComplete:
        checkEmpty(start, end);
        reply.onParseComplete();
        break;
      case Backend.BindComplete:
        checkEmpty(start, end);
        reply.onBindComplete();
        break;
      case Backend.CloseComplete:
        checkEmpty(start, end);
        if (reply.pingedAt === null) reply.onCloseComplete();
        else this.#onPinged(reply, reply.pingedAt);
        return;
      case Backend.CommandComplete:
        this.#onTag(reply, readTag(bytes, start, end));
        if (reply.complete) this.#onComplete(reply);
        break;
      case Backend.EmptyQueryResponse:
        checkEmpty(start, end);
        reply.onComplete(null);
        if (reply.complete) this.#onComplete(reply);
        break;
      case Backend.PortalSuspended:
        checkEmpty(start, end);
        reply.onSuspended();
        // A row that could not be loaded ends the exchange.
        if (reply.error === null) exchange?.onSuspended(reply.takeBatch());
        else if (!reply.synced) this.#parts.extended.closePortal(reply);
        break;
      case Backend.CopyInResponse:
      case Backend.CopyOutResponse:
        this.#onCopy(reply, type, bytes, start, end);
        return;
      case Backend.CopyData:
        reply.expectCopyData();
        exchange?.onCopyData(bytes, start, end);
        return;
      case Backend.CopyDone:
        checkEmpty(start, end);
        reply.onCopyDone();
        return;
      case Backend.CopyBothResponse:
        this.#parts.transport.fail(new errors.NotSupportedError('replication connections are not supported'));
        return;
      default:
        this.#unexpected(`a message of type '${String.fromCharCode(type)}' that answers nothing`);
        return;
    }
    if (reply.protocol === 'simple') this.#parts.engine.show(bytes.subarray(start - 5, end));
  }

  #onDescription(reply: StatementReply, fields: readonly Field[]): void {
    reply.onDescription(fields);
    const { settings, extended } = this.#parts;
    if (settings.foreignEncoding === null) return;
    const refusal = whyNotNamed(fields, settings.foreignEncoding, reply.entry.request);
    if (refusal === null) return;
    reply.error ??= refusal;
    // A prepared statement keeps its columns, whose names would be wrong in a later encoding as well.
    extended.discardPrepared();
  }

  #onPinged(reply: StatementReply, at: number): void {
    reply.pingedAt = null;
    this.#parts.transport.roundTrip = (performance.now() - at) / 1000;
  }

  /** All executions of a statement are complete. Without a segment its answer ends with ReadyForQuery. */
  #onComplete(reply: StatementReply): void {
    if (reply.segment === null) {
      reply.entry.request.exchange?.onComplete();
      this.#parts.extended.sync(reply);
      return;
    }
    this.#endInSegment(reply, reply.error);
    this.#parts.onAnswered();
  }

  #endInSegment(reply: StatementReply, error: unknown): void {
    this.#ends(reply);
    this.#parts.outcomes.settle(reply.entry, error, reply.results);
  }

  /** Notes that a reply is not in flight any more. */
  #ends(reply: Reply): void {
    const { inFlight, extended, cancellation } = this.#parts;
    inFlight.shift();
    if (reply.kind === 'statement') extended.answered(reply);
    if (cancellation.state !== 'idle') cancellation.answered(reply);
  }

  #onCopy(reply: StatementReply, type: number, bytes: Buffer, start: number, end: number): void {
    const direction = type === Backend.CopyInResponse ? 'in' : 'out';
    const format = { direction, ...readCopyFormat(bytes, start, end) } as const;
    reply.onCopy(direction);
    const { exchange } = reply.entry.request;
    if (exchange?.kind === 'copy') {
      exchange.onCopy(format);
      return;
    }
    // The server's own error will report the refusal.
    reply.error ??= copyRefused(shownText(reply.entry.request));
    reply.refused = true;
    if (direction === 'in') this.#parts.extended.refuseCopy(reply);
  }

  #onTag(reply: StatementReply, tag: string): void {
    const { extended, settings, inFlight } = this.#parts;
    const { request } = reply.entry;
    const text = setsByFunction(tag, request.text) ? textWithParams(request) : request.text;
    const isUndone = tag === 'ROLLBACK' && this.#schemaMayChange;
    const isOfSchema = changesSchema(tag, text);
    const isOfUser = changesUser(tag, text);
    if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') extended.deallocated();
    else if (isOfSchema || isUndone) extended.discardPrepared();
    if (isOfUser) extended.userChanged(userChange(tag, request.text, request.executions?.[0]));
    else if (isUndone || tag === 'DISCARD ALL') extended.userChanged(null);
    this.#schemaMayChange ||= isOfSchema || isOfUser || mayChangeSchema(tag);
    // The server reports a changed setting before ReadyForQuery. These answers come earlier if other statements follow before it.
    const isWithin = reply.segment !== null || reply.protocol === 'simple';
    const isQuery = tag.startsWith('SELECT');
    if (isWithin && (mayChangeSettings(tag) || (isQuery && reply.mayMakeTable))) settings.doubtDates();
    const inTransaction = isWithin || reply.hasBegun || inFlight.status !== TransactionStatus.IDLE;
    if (inTransaction && !this.#mayHaveMadeTable) {
      this.#mayHaveMadeTable = this.#schemaMayChange || (mayCallFunctions(tag) && reply.mayMakeTable);
    }
    reply.onComplete(tag);
  }

  /**
   * A statement whose text does not say so, a call of a function for instance, has changed client_encoding. What it, or a statement
   * sent after it, has exchanged may be wrong; the server tells only now.
   */
  onForeignEncoding(): void {
    const { inFlight, settings } = this.#parts;
    const encoding = settings.foreignEncoding!;
    for (const reply of inFlight) {
      if (reply === inFlight.head) {
        // The rows of an exchange, and those of a segment, have been handed over.
        const mayBeWrong =
          reply.kind === 'sync' ||
          reply.entry.request.exchange !== undefined ||
          reply.results.some(({ rows }) => isBeyondAscii(rows));
        if (mayBeWrong)
          reply.error ??= changedWithin(
            encoding,
            reply.kind === 'sync' ? null : shownText(reply.entry.request),
          );
      } else if (reply.kind === 'statement') {
        reply.error ??= whyNotSent(reply.entry.request, encoding);
      }
    }
  }

  /** Handles a notice. It may come after the statement's tag, since a statement in autocommit commits at its Sync. */
  onNotice(fields: ResponseFields): void {
    // The text of a notice may be translated; the function's name, which is in none other of its severity, is not.
    if (fields.get('R') === SYNC_REPLICATION) this.#unreplicated = fields;
  }

  /** Handles an ErrorResponse: the server refused or ended one statement, or, with a fatal error, the session. */
  onError(bytes: Buffer, start: number, end: number): void {
    const fields = readErrorFields(bytes, start, end);
    const severity = fields.get('V') ?? fields.get('S');
    const isFatal = severity === 'FATAL' || severity === 'PANIC';
    if (isFatal) this.#parts.transport.onFatal(fields);
    const reply = this.#parts.inFlight.head;
    if (reply === undefined) {
      if (!isFatal) this.#parts.onStrayError(fields);
      return;
    }
    if (reply.kind === 'sync') {
      reply.error ??= errorFromResponse(fields);
      return;
    }
    // The server's error takes precedence over a loader's, since it determines the state of the transaction.
    if (!reply.refused) reply.error = statementError(fields, reply.entry.request);
    reply.refused = true;
    if (isFatal) return;
    if (reply.segment !== null) {
      this.#onErrorInSegment(reply);
      return;
    }
    reply.handOver();
    if (reply.protocol === 'simple') this.#parts.engine.showFailure();
    else this.#parts.extended.sync(reply);
  }

  /** The server skips everything up to the next Sync after an error. */
  #onErrorInSegment(reply: StatementReply): void {
    const { inFlight, extended } = this.#parts;
    const segment = reply.segment!;
    segment.failed = true;
    const reason = outdated(reply);
    if (reason !== null) {
      // A retry would run after statements that were sent later. The next pipeline prepares the statement again.
      extended.discardPrepared();
      reply.error = outdatedInTransaction(reason);
    }
    this.#endInSegment(reply, isHit(reply) ? pipelineAborted(reply.entry, reply.error!) : reply.error);
    for (
      let next = inFlight.head;
      next?.kind === 'statement' && next.segment === segment;
      next = inFlight.head
    ) {
      this.#endInSegment(next, pipelineAborted(next.entry));
    }
    this.#parts.onAnswered();
  }

  /** The end of a statement or segment, with the new transaction status. */
  onReadyForQuery(bytes: Buffer, start: number, end: number): void {
    const { inFlight, settings } = this.#parts;
    const status = STATUS_OF_BYTE[readStatusByte(bytes, start, end)]!;
    const reply = inFlight.head;
    if (reply === undefined || (reply.kind === 'statement' && reply.segment !== null)) {
      this.#unexpected('a ReadyForQuery that answers nothing');
      return;
    }
    if (reply.kind === 'statement') reply.expectEnd();
    // The reply ends only here: an error before ReadyForQuery still belongs to this statement.
    this.#ends(reply);
    if (this.#unreplicated !== null) this.#refuseUnreplicated(reply, this.#unreplicated);
    inFlight.status = status;
    if (settings.datesInDoubt) settings.trustDates();
    if (settings.encodingInDoubt) this.#trustEncoding();
    if (status === TransactionStatus.IDLE) {
      this.#onTransactionEnd(reply.error !== null || reply.segment?.failed === true);
    }
    if (reply.kind === 'sync') this.#endSync(reply);
    else this.#endStatement(reply, bytes.subarray(start - 5, end));
  }

  /** What was committed without the synchronous standby is not acknowledged, since a failover may undo it. */
  #refuseUnreplicated(reply: Reply, notice: ResponseFields): void {
    this.#unreplicated = null;
    reply.error ??= notReplicated(notice, reply.kind === 'sync' ? null : shownText(reply.entry.request));
  }

  /** Trusts the reported encoding again, unless a statement in flight may change it. */
  #trustEncoding(): void {
    const { inFlight, settings } = this.#parts;
    const isInDoubt = [...inFlight].some((reply) => reply.kind === 'statement' && reply.changesEncoding);
    if (!isInDoubt) settings.trustEncoding();
  }

  #onTransactionEnd(hasFailed: boolean): void {
    if (hasFailed && this.#schemaMayChange) this.#parts.extended.userChanged(null);
    this.#parts.extended.transactionEnded(this.#mayHaveMadeTable);
    this.#schemaMayChange = false;
    this.#mayHaveMadeTable = false;
  }

  #endSync({ entry, error }: SyncReply): void {
    this.#parts.outcomes.settleSync(error, entry !== null);
    if (error === null) entry?.resolve();
    else entry?.reject(error);
    this.#parts.onAnswered();
  }

  #endStatement(reply: StatementReply, readyForQuery: Buffer): void {
    const { engine, outcomes } = this.#parts;
    // postgres.js must be ready before anything else is sent.
    if (reply.protocol === 'simple') engine.show(readyForQuery);
    if (reply.error !== null && this.#isSentAgain(reply)) return;
    outcomes.settle(reply.entry, reply.error, reply.results);
    this.#parts.onAnswered();
  }

  /** Sends a statement again that failed through no fault of its own, if possible. */
  #isSentAgain(reply: StatementReply): boolean {
    const reason = outdated(reply);
    if (reason !== null) this.#parts.extended.discardPrepared();
    if (reason === null && !isHit(reply)) return false;
    if (this.#sendAgain(reply)) return true;
    if (reason !== null && this.#isWithinTransaction(reply)) reply.error = outdatedInTransaction(reason);
    return false;
  }

  /** Whether the statement failed in a transaction that was open before it. */
  #isWithinTransaction(reply: StatementReply): boolean {
    return this.#parts.inFlight.status !== TransactionStatus.IDLE && !reply.hasBegun;
  }

  /**
   * Sends a statement again that had no effect. Its prepared statement was no longer valid, for instance because a table had
   * changed, or a cancel request meant for the previous statement hit it. It is not sent again if that would take it out of its
   * failed transaction, or behind statements sent after it.
   */
  #sendAgain(reply: StatementReply): boolean {
    const { entry } = reply;
    const { inFlight, queue } = this.#parts;
    if (entry.sentAgain || entry.abandoned !== null || inFlight.length > 0) return false;
    if (this.#isWithinTransaction(reply)) return false;
    entry.sentAgain = true;
    entry.isSent = false;
    queue.unshift(entry);
    if (inFlight.status !== TransactionStatus.IDLE) {
      queue.unshift(StatementEntry.internal(ROLLBACK));
    }
    this.#parts.onAnswered();
    return true;
  }
}

/** Whether a cancel request meant for another statement has hit this one. */
function isHit({ mayBeHit, cancelWanted, error }: StatementReply): boolean {
  return mayBeHit && !cancelWanted && error instanceof errors.Error && error.sqlstate === QUERY_CANCELED;
}
