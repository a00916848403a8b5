import { describeField, type Column } from '../column.js';
import type { StatementResult } from '../session/statement.js';

/** One result of a cursor, with its columns described when they are asked for. */
export class CursorResult {
  readonly rows: readonly unknown[][];
  readonly statusmessage: string | null;
  readonly #result: StatementResult;
  #description: readonly Column[] | null | undefined;

  constructor(result: StatementResult) {
    this.#result = result;
    this.rows = result.rows;
    this.statusmessage = result.tag;
  }

  /** Whether it has rows, be it none: `false` for an INSERT without RETURNING. */
  get hasRows(): boolean {
    return this.#result.fields !== null;
  }

  get description(): readonly Column[] | null {
    return (this.#description ??= this.#result.fields?.map(describeField) ?? null);
  }

  /** How many rows it has or affected; -1 where that has no meaning. */
  get rowcount(): number {
    return this.hasRows ? this.rows.length : (affectedRows(this.statusmessage) ?? -1);
  }
}

/** The number at the end of a tag such as `UPDATE 3`, or null if there is none. */
export function affectedRows(tag: string | null): number | null {
  if (tag === null) return null;
  const last = tag.slice(tag.lastIndexOf(' ') + 1);
  return /^\d+$/.test(last) ? Number(last) : null;
}
