import type { Column } from '../../index.js';

/** A column of a result, by node-postgres's names. */
export interface FieldDef {
  /** The column's name in the result. */
  name: string;
  /** The oid of the column's table; 0 for a computed column. */
  tableID: number;
  /** The column's number in its table, from 1; 0 for a computed column. */
  columnID: number;
  /** The oid of the column's type. */
  dataTypeID: number;
  /** The size of a value in bytes; negative for variable-length types. */
  dataTypeSize: number;
  /** The type's modifier as the server stores it; -1 for a type without one. */
  dataTypeModifier: number;
  /** Always `text`: the format in which parsers get the values. */
  format: string;
}

/** The result of a query. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rows' type is known to the query only
export interface QueryResult<R = any> {
  /** The first word of the statement's tag, such as `SELECT`. */
  command: string;
  /** The number of rows returned or affected; null if the statement counts none. */
  rowCount: number | null;
  /** The oid in the tag of an INSERT; null for other statements. */
  oid: number;
  /** The rows; empty if the statement returns none. */
  rows: R[];
  /** The columns; empty if the statement returns no rows. */
  fields: FieldDef[];
}

/** The result of a query with `rowMode: 'array'`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rows' type is known to the query only
export type QueryArrayResult<R extends any[] = any[]> = QueryResult<R>;

const TAG = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/;

/** What a statement's tag says. */
interface Tag {
  readonly tag: string;
  readonly command: string | null;
  readonly oid: number | null;
  readonly rowCount: number | null;
}

function parseTag(tag: string): Tag {
  const [, command = null, first, second] = TAG.exec(tag) ?? [];
  return {
    tag,
    command,
    oid: second === undefined ? null : Number(first),
    rowCount: first === undefined ? null : Number(second ?? first),
  };
}

/** The last tag: most statements have the same one as those before them. */
let last: Tag = parseTag('');

/** The result of a statement, as node-postgres gives it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rows' type is known to the query only
export class Result<R = any> {
  /** The first word of the statement's tag, such as `SELECT`; null if the query was empty. */
  command: string | null = null;
  /** The number of rows returned or affected; null if the statement counts none. */
  rowCount: number | null = null;
  /** The oid in the tag of an INSERT; else null. */
  oid: number | null = null;
  /** The rows; empty if the statement returns none. */
  rows: R[];
  /** The columns; empty if the statement returns no rows. */
  fields: FieldDef[];
  /** Whether the rows are arrays. */
  readonly rowAsArray: boolean;

  constructor(rowMode?: string, fields: FieldDef[] = [], rows: R[] = [], tag: string | null = null) {
    this.rows = rows;
    this.fields = fields;
    this.rowAsArray = rowMode === 'array';
    if (tag !== null) this.setTag(tag);
  }

  /** Sets what a statement's tag says. */
  setTag(tag: string): void {
    if (last.tag !== tag) last = parseTag(tag);
    if (last.command === null) return;
    this.command = last.command;
    this.oid = last.oid ?? this.oid;
    this.rowCount = last.rowCount ?? this.rowCount;
  }
}

/** The columns by node-postgres's names. */
export function fieldsOf(columns: readonly Column[]): FieldDef[] {
  return columns.map((column) => ({
    name: column.name,
    tableID: column.tableOid ?? 0,
    columnID: column.tableColumn ?? 0,
    dataTypeID: column.typeCode,
    dataTypeSize: column.internalSize ?? -1,
    dataTypeModifier: column.typeModifier ?? -1,
    format: 'text',
  }));
}
