import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowDecoderSource } from '../wire/row-decoder.js';
import type { Exchange } from './exchange.js';
import type { PreparePolicy } from './prepared-statements.js';
import { controlsTransaction } from '../sql-statement.js';

/** A parameter as it is sent: its text (null for NULL), or its bytes in binary format, and the oid of its type (0: the server infers it). */
export interface SentParam {
  readonly text: string | null;
  readonly bytes?: Uint8Array | undefined;
  readonly oid: number;
}

/** A query for display, or a function that makes its text, so that a text that is never shown costs nothing. */
export type ShownQuery = string | (() => string);

/** A statement to be executed. */
export interface StatementRequest {
  /** SQL with `$1` … placeholders. */
  readonly text: string;
  /** One list of parameters per execution. Null: a text without parameters, which may contain several statements. */
  readonly executions: readonly (readonly SentParam[])[] | null;
  /** The BEGIN to send if no transaction is open in the statement's turn; null to run outside of a transaction. */
  readonly begin: string | null;
  /** Skip the statement unless a transaction is open, or unless none is, in its turn. */
  readonly onlyIf?: 'in transaction' | 'idle';
  /** The decoder that makes rows as they arrive; null: rows are discarded. */
  readonly rows: RowDecoderSource | null;
  /** true: prepare now; false: do not prepare; undefined: follow `policy`. */
  readonly prepare?: boolean | undefined;
  readonly policy: PreparePolicy;
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the server's outcome counts even after the caller has given up. A statement that ends a transaction has this: a
   * caller that aborted it must learn whether it took effect.
   */
  readonly outcomeMatters?: boolean;
  /**
   * Whether the session is given up if the server does not answer soon: the statement ends what was left, so that nobody limits the
   * wait for it.
   */
  readonly mustBeAnswered?: boolean | undefined;
  /** Describes or closes a portal in place of a statement. The description has no tag; closing an unknown portal is no error. */
  readonly portal?: { readonly act: 'describe' | 'close'; readonly name: string };
  /** The placeholders of `$1` …, as the query of the caller has them, where they have names. */
  readonly parameterNames?: readonly string[] | null | undefined;
  /**
   * The text with `$1` … in place of values, or a function that makes it; set if `text` contains values meant only for the
   * server.
   */
  readonly shown?: ShownQuery | undefined;
  /** Called just before the request rejects, with the results of the executions before the failed one. It must not throw. */
  readonly failedAfter?: (results: readonly StatementResult[]) => void;
  /** An exchange of further messages until the statement has ended; there is one execution then. */
  readonly exchange?: Exchange;
}

/** One result of a statement. */
export interface StatementResult {
  /** The columns; null for a result without rows, such as an INSERT without RETURNING. */
  readonly fields: readonly Field[] | null;
  readonly rows: readonly unknown[];
  /** The decoder that made the rows; null if there was none. */
  readonly decoder: RowDecoder | null;
  /** The command's tag, such as `SELECT 3`; null for an empty statement. */
  readonly tag: string | null;
}

/** The text of a statement for errors and traces: without values, even if the client inserted them into the text. */
export function shownText({ text, shown }: Pick<StatementRequest, 'text' | 'shown'>): string {
  if (shown === undefined) return text;
  return typeof shown === 'string' ? shown : shown();
}

/** The text together with the parameters, which may name what a function in it changes. */
export function textWithParams({ text, executions }: StatementRequest): string {
  return [text, ...(executions ?? []).flat().map((param) => param.text)].join(' ');
}

/** The number at the end of a tag such as `UPDATE 3`; null if there is none. */
export function affectedRows(tag: string | null): number | null {
  if (tag === null) return null;
  const last = tag.slice(tag.lastIndexOf(' ') + 1);
  return /^\d+$/.test(last) ? Number(last) : null;
}

/** Whether a statement may be part of a pipeline, in which it does not wait for earlier answers. */
export function canBePipelined({ text, onlyIf, exchange, portal }: StatementRequest): boolean {
  const isOrdinary = onlyIf === undefined && exchange === undefined && portal === undefined;
  return isOrdinary && !controlsTransaction(text);
}

const NO_PARAMS: readonly SentParam[] = [];

/** A command of the library itself, without parameters. */
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

/** Rolls back the open transaction, if there is one, without a caller that asked for it. */
export const ROLLBACK = command('ROLLBACK', { onlyIf: 'in transaction', mustBeAnswered: true });
