import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowDecoderSource } from '../wire/row-decoder.js';
import type { Exchange } from './exchange.js';
import type { PreparePolicy } from './prepared-statements.js';
import { controlsTransaction } from './statement-text.js';

/** A parameter as it is sent: its text (null for NULL) and the oid of its type (0: the server decides). */
export interface SentParam {
  readonly text: string | null;
  readonly oid: number;
}

/** A query as it may be shown, or a function that makes its text, so that a text that is never shown costs nothing. */
export type ShownQuery = string | (() => string);

/** A statement to be executed. */
export interface StatementRequest {
  /** SQL with `$1` … placeholders. */
  readonly text: string;
  /** One list of parameters for each execution. None: a text without parameters, in which several statements may stand. */
  readonly executions: readonly (readonly SentParam[])[] | null;
  /** What begins a transaction, if none is open when the statement's turn comes; null to run outside of one. */
  readonly begin: string | null;
  /** Do nothing unless a transaction is open, or unless none is, when the statement's turn comes. */
  readonly onlyIf?: 'in transaction' | 'idle';
  /** How the rows are made as they arrive; null: they are discarded. */
  readonly rows: RowDecoderSource | null;
  /** true: prepare now; false: don't; undefined: as `policy` says. */
  readonly prepare?: boolean | undefined;
  readonly policy: PreparePolicy;
  readonly signal?: AbortSignal | undefined;
  /**
   * What the server says counts, even where the caller has lost interest since: it ends a transaction, say, and whoever has aborted
   * it has to know whether it did.
   */
  readonly outcomeMatters?: boolean;
  /** No statement, but a portal to be described, in a result without a tag, or closed, which is no error if it is not there. */
  readonly portal?: { readonly act: 'describe' | 'close'; readonly name: string };
  /** The text with `$1` … in place of values, or what makes it, where `text` has values in it that are for the server only. */
  readonly shown?: ShownQuery | undefined;
  /** Called just before it rejects, with the results of its executions before the one that it has failed at. */
  readonly failedAfter?: (results: readonly StatementResult[]) => void;
  /** What goes on exchanging messages with the server until the statement has ended; then there is one execution. */
  readonly exchange?: Exchange;
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

/** The text of a statement as it may be shown: without values, be it the client that has put them into the text. */
export function shownText({ text, shown }: Pick<StatementRequest, 'text' | 'shown'>): string {
  if (shown === undefined) return text;
  return typeof shown === 'string' ? shown : shown();
}

/** The number at the end of a tag such as `UPDATE 3`, or null if there is none. */
export function affectedRows(tag: string | null): number | null {
  if (tag === null) return null;
  const last = tag.slice(tag.lastIndexOf(' ') + 1);
  return /^\d+$/.test(last) ? Number(last) : null;
}

/** Whether a statement may be sent in a pipeline, without waiting for what is before it. */
export function canBePipelined({ text, onlyIf, exchange, portal }: StatementRequest): boolean {
  const isOrdinary = onlyIf === undefined && exchange === undefined && portal === undefined;
  return isOrdinary && !controlsTransaction(text);
}

const NO_PARAMS: readonly SentParam[] = [];

/** A command of the library's own, that is sent as it is. */
export function command(text: string, more: Partial<StatementRequest> = {}): StatementRequest {
  return {
    text,
    executions: [NO_PARAMS],
    begin: null,
    rows: null,
    prepare: false,
    policy: { threshold: null, max: null },
    ...more,
  };
}

/** Rolls back the open transaction, if there is one. */
export const ROLLBACK = command('ROLLBACK', { onlyIf: 'in transaction' });
