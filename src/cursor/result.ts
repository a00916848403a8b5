import { describeField, type Column, type KnownTypes } from '../column.js';
import { keepStack } from '../errors/callers-stack.js';
import { dictRow, tupleRow, type RowFactory, type RowSource } from '../rows.js';
import { affectedRows } from '../session/command-tag.js';
import type { StatementResult } from '../session/statement.js';
import { ObjectDecoder } from '../wire/row-decoder.js';

/** What makes a row of one that is as it should be. */
export const rowAsItIs = (row: unknown): never => row as never;

function made<R>(factory: RowFactory<R>, source: RowSource): ReturnType<RowFactory<R>> {
  try {
    return factory(source);
  } catch (error) {
    throw keepStack(error);
  }
}

/** One result of a cursor, with its columns described when they are asked for. */
export class CursorResult {
  /** The rows as they were decoded; `rowMaker()` makes of them what is fetched. */
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

  /** Whether it has rows, be it none: `false` for an INSERT without RETURNING. */
  get hasRows(): boolean {
    return this.#result.fields !== null;
  }

  /** What makes the rows to be fetched, as `factory` wants them, of the decoded ones; null if there are none. */
  rowMaker<R>(factory: RowFactory<R>, source: RowSource): ((row: unknown) => R) | null {
    if (!this.hasRows) return null;
    const { decoder } = this.#result;
    if (decoder instanceof ObjectDecoder) {
      if ((factory as unknown) === dictRow) return rowAsItIs;
      const make = made(factory, source);
      return (row) => make(decoder.valuesOf(row as Record<string, unknown>));
    }
    if ((factory as unknown) === tupleRow) return rowAsItIs;
    return made(factory, source) as (row: unknown) => R;
  }

  /** Whether the rows of `other` were made by what made these. */
  isDecodedAs(other: CursorResult): boolean {
    return this.#result.decoder !== null && this.#result.decoder === other.#result.decoder;
  }

  get description(): readonly Column[] | null {
    return (this.#description ??=
      this.#result.fields?.map((field) => describeField(field, this.#types)) ?? null);
  }

  /** How many rows it has or affected; -1 where that has no meaning. */
  get rowcount(): number {
    return this.hasRows ? this.rows.length : (affectedRows(this.statusmessage) ?? -1);
  }
}
