import * as errors from '../errors/index.js';
import {
  checkEmpty,
  ProtocolViolation,
  readCopyFormat,
  readRowDescription,
  readStatusByte,
  readTag,
} from '../wire/backend-messages.js';
import type { Engine } from '../wire/engine.js';
import { Backend } from '../wire/protocol.js';
import { checkReadable } from './foreign-encoding.js';
import type { Lane } from './lane.js';
import type { Link, ResponseFields } from './link.js';
import { ROLLBACK } from './requests.js';
import {
  copyRefused,
  loadError,
  outdated,
  outdatedInTransaction,
  pipelineAborted,
} from './statement-errors.js';
import type { StatementFlow } from './statement-flow.js';
import { changesSchema, mayChangeSchema } from './statement-text.js';
import { PendingStatement } from './statement.js';
import { statusFromByte, TransactionStatus } from './status.js';

/** What the server says to the statements in flight, of which the first is the one that is being answered. */
export class Answers {
  readonly #link: Link;
  readonly #engine: Engine;
  readonly #lane: Lane;
  readonly #flow: StatementFlow;
  /** Whether the open transaction has done something to tables or types that its end may undo. */
  #schemaMayChange = false;

  constructor(link: Link, engine: Engine, lane: Lane, flow: StatementFlow) {
    this.#link = link;
    this.#engine = engine;
    this.#lane = lane;
    this.#flow = flow;
  }

  /** A row, decoded as it arrives. */
  onRow(bytes: Buffer, start: number, end: number): void {
    const pending = this.#flow.inFlight.first;
    if (pending === undefined) {
      this.#link.violation('a row that no statement asked for');
      return;
    }
    pending.expectRow();
    const { decoder } = pending;
    if (decoder === null || pending.error !== null) return;
    try {
      const { foreignEncoding } = this.#link;
      if (foreignEncoding !== null) checkReadable(bytes, start, end, foreignEncoding, pending.request.text);
      pending.rows.push(decoder.decode(bytes, start, end));
      pending.bytes += end - start;
    } catch (cause) {
      if (cause instanceof ProtocolViolation) throw cause;
      pending.error = loadError(cause, pending.request.text);
      pending.handOver();
    }
  }

  #unexpected(type: number): void {
    this.#link.violation(`a message of type '${String.fromCharCode(type)}' that answers nothing`);
  }

  /** A message that is part of a statement's answer. */
  onAnswer(type: number, bytes: Buffer, start: number, end: number): void {
    const pending = this.#flow.inFlight.first;
    if (pending === undefined) {
      this.#unexpected(type);
      return;
    }
    switch (type) {
      case Backend.RowDescription:
        pending.onDescription(readRowDescription(bytes, start, end));
        break;
      case Backend.NoData:
        checkEmpty(start, end);
        pending.onDescription(null);
        break;
      case Backend.ParseComplete:
        checkEmpty(start, end);
        pending.onParseComplete();
        break;
      case Backend.BindComplete:
        checkEmpty(start, end);
        pending.onBindComplete();
        break;
      case Backend.CloseComplete:
        checkEmpty(start, end);
        if (pending.route === 'engine') this.#unexpected(type);
        else pending.onCloseComplete();
        return;
      case Backend.CommandComplete:
        this.#onTag(pending, readTag(bytes, start, end));
        if (pending.complete) this.#onComplete(pending);
        break;
      case Backend.EmptyQueryResponse:
        checkEmpty(start, end);
        pending.onComplete(null);
        if (pending.complete) this.#onComplete(pending);
        break;
      case Backend.PortalSuspended:
        checkEmpty(start, end);
        pending.onSuspended();
        // A row that could not be loaded ends it.
        if (pending.error !== null) this.#lane.closePortal(pending);
        else pending.request.conversation?.onSuspended(pending.takeBatch());
        break;
      case Backend.CopyInResponse:
      case Backend.CopyOutResponse:
        this.#onCopy(pending, type, bytes, start, end);
        return;
      case Backend.CopyData:
        pending.expectCopyData();
        pending.request.conversation?.onCopyData(bytes, start, end);
        return;
      case Backend.CopyDone:
        checkEmpty(start, end);
        pending.onCopyDone();
        return;
      case Backend.CopyBothResponse:
        this.#link.fail(new errors.NotSupportedError('replication connections are not supported'));
        return;
      default:
        this.#unexpected(type);
        return;
    }
    if (pending.route === 'engine') this.#engine.show(bytes.subarray(start - 5, end));
  }

  /** A statement whose end is not that of its answer: a conversation still has to say goodbye. */
  #onComplete(pending: PendingStatement): void {
    if (pending.pipelined) this.#answeredInPipeline(pending, pending.error);
    else this.#lane.sync(pending);
  }

  #answeredInPipeline(pending: PendingStatement, error: unknown): void {
    this.#flow.inFlight.shift();
    this.#lane.answered(pending);
    this.#flow.settle(pending, error);
  }

  #onCopy(pending: PendingStatement, type: number, bytes: Buffer, start: number, end: number): void {
    const direction = type === Backend.CopyInResponse ? 'in' : 'out';
    const format = { direction, ...readCopyFormat(bytes, start, end) } as const;
    pending.onCopy(direction);
    const { conversation } = pending.request;
    if (conversation?.kind === 'copy') {
      conversation.onCopy(format);
      return;
    }
    pending.error ??= copyRefused(pending.request.text);
    if (direction === 'in') this.#lane.refuseCopy(pending);
  }

  #onTag(pending: PendingStatement, tag: string): void {
    if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') this.#lane.deallocated();
    else if (changesSchema(tag) || (tag === 'ROLLBACK' && this.#schemaMayChange))
      this.#lane.discardPrepared();
    this.#schemaMayChange ||= mayChangeSchema(tag);
    pending.onComplete(tag);
  }

  /** The server refuses or gives up what it is at, or everything if the error is a fatal one. */
  onError(fields: ResponseFields): void {
    const severity = fields.get('V') ?? fields.get('S');
    if (severity === 'FATAL' || severity === 'PANIC') this.#link.fatal = fields;
    const pending = this.#flow.inFlight.first;
    if (pending === undefined) return;
    pending.error ??= errors.errorFromResponse(fields, pending.request.text);
    if (pending.pipelined && pending.syncs === null) {
      this.#onPipelineError(pending);
      return;
    }
    pending.handOver();
    this.#lane.sync(pending);
    if (pending.route === 'engine') this.#engine.showFailure();
  }

  /** The server skips everything up to the next Sync. */
  #onPipelineError(pending: PendingStatement): void {
    this.#flow.pipeline.aborted = true;
    const reason = outdated(pending);
    if (reason !== null) {
      // Sent again, it would come behind what was sent after it; the next pipeline finds it prepared anew.
      this.#lane.discardPrepared();
      pending.error = outdatedInTransaction(reason);
    }
    this.#answeredInPipeline(pending, pending.error);
    for (
      let next = this.#flow.inFlight.first;
      next?.pipelined === true && next.syncs === null;
      next = this.#flow.inFlight.first
    ) {
      this.#answeredInPipeline(next, pipelineAborted(next));
    }
    this.#flow.pump();
  }

  /** The end of a statement, and the transaction status behind it. */
  onReadyForQuery(bytes: Buffer, start: number, end: number): void {
    const status = readStatusByte(bytes, start, end);
    const pending = this.#flow.inFlight.first;
    if (pending === undefined || (pending.pipelined && pending.syncs === null)) {
      this.#link.violation('a ReadyForQuery that answers nothing');
      return;
    }
    pending.expectEnd();
    // Not before: until here, whatever goes wrong is the end of this statement, too.
    this.#flow.inFlight.shift();
    this.#flow.statusByte = status;
    if (pending.syncs !== null) this.#flow.pipeline.answered(pending.syncs);
    else if (!pending.transparent) this.#flow.barriers--;
    // postgres.js has to be ready before anything else is sent.
    if (pending.route === 'engine') this.#engine.show(bytes.subarray(start - 5, end));
    this.#lane.answered(pending);
    const idle = statusFromByte(this.#flow.statusByte) === TransactionStatus.IDLE;
    if (idle) this.#schemaMayChange = false;
    const reason = outdated(pending);
    if (reason !== null) {
      this.#lane.discardPrepared();
      if (this.#sendAgain(pending, reason, idle)) return;
    }
    this.#flow.settle(pending, pending.error);
    this.#flow.afterAnswer();
  }

  /**
   * What a statement had prepared is not valid any more, since a table has changed, say; nothing of it has been executed. It is
   * prepared anew, unless that would take it out of the transaction that has failed, or behind what was sent after it.
   */
  #sendAgain(pending: PendingStatement, reason: errors.Error, idle: boolean): boolean {
    const began = pending.begunAhead || pending.executions[0]?.hidden === true;
    if (pending.sentAgain || pending.abandonReason !== null || this.#flow.inFlight.length > 0) return false;
    if (!idle && !began) {
      pending.error = outdatedInTransaction(reason);
      return false;
    }
    const queue = this.#flow.queue;
    pending.sendAgain();
    queue.unshift(pending);
    if (!idle)
      queue.unshift(
        new PendingStatement(
          ROLLBACK,
          false,
          () => undefined,
          () => undefined,
        ),
      );
    this.#flow.afterAnswer();
    return true;
  }
}
