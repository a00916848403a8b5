import { describeField, type Column, type KnownTypes } from '../column.js';
import { dictRow, tupleRow, type RowFactory, type RowSource } from '../rows.js';
import { affectedRows } from '../session/command-tag.js';
import type { StatementResult } from '../session/statement.js';
import { ObjectDecoder } from '../wire/row-decoder.js';

/** Returns a decoded row unchanged. */
export const rowAsItIs = (row: unknown): never => row as never;

/** One result of a cursor. Its columns are described on demand. */
export class CursorResult {
  /** The rows as decoded; `rowMaker()` converts them when they are fetched. */
  readonly rows: readonly unknown[];
  readonly statusmessage: string | null;
  readonly #result: StatementResult;
  readonly #types: KnownTypes;
  #description: readonly Column[] | null | undefined;

  constructor(result: StatementResult, types: KnownTypes) {
    this.#types = types;
    this.#result = result;
    this.rows = result.rows;
    this.statusmessage = result.tag;
  }

  /** Whether the result has rows, possibly zero; false for an INSERT without RETURNING. */
  get hasRows(): boolean {
    return this.#result.fields !== null;
  }

  /** Returns the function that converts decoded rows for `factory`; null without rows. */
  rowMaker<R>(factory: RowFactory<R>, source: RowSource): ((row: unknown) => R) | null {
    if (!this.hasRows) return null;
    const { decoder } = this.#result;
    if (decoder instanceof ObjectDecoder) {
      if ((factory as unknown) === dictRow) return rowAsItIs;
      const make = factory(source);
      return (row) => make(decoder.valuesOf(row as Record<string, unknown>));
    }
    if ((factory as unknown) === tupleRow) return rowAsItIs;
    return factory(source) as (row: unknown) => R;
  }

  /** Whether the rows of `other` were made by the same decoder. */
  isDecodedAs(other: CursorResult): boolean {
    return this.#result.decoder !== null && this.#result.decoder === other.#result.decoder;
  }

  get description(): readonly Column[] | null {
    return (this.#description ??=
      this.#result.fields?.map((field) => describeField(field, this.#types)) ?? null);
  }

  /** The number of rows returned or affected; -1 if not applicable. */
  get rowcount(): number {
    return this.hasRows ? this.rows.length : (affectedRows(this.statusmessage) ?? -1);
  }
}
