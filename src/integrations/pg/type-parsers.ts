import { Buffer } from 'node:buffer';
import {
  adapters,
  dictRow,
  errors,
  inferredParams,
  pgTypes,
  tupleRow,
  type AdaptersMap,
  type Column,
  type RowFactory,
} from '../../index.js';

/** Converts the server's text of a value. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in node-postgres; the value's type depends on the column
export type TypeParser = (text: string) => any;

/** What chooses the parser of a column's type, such as the `types` of a query. */
export interface CustomTypes {
  /** Returns the parser of the type with this oid. It receives the server's text; `format` is `text`. */
  getTypeParser(oid: number, format?: any): TypeParser; // eslint-disable-line @typescript-eslint/no-explicit-any -- node-postgres's types have several declarations of it
}

/** The oids of PostgreSQL's types by node-postgres's names. */
export const builtins = {
  BOOL: 16,
  BYTEA: 17,
  CHAR: 18,
  INT8: 20,
  INT2: 21,
  INT4: 23,
  REGPROC: 24,
  TEXT: 25,
  OID: 26,
  TID: 27,
  XID: 28,
  CID: 29,
  JSON: 114,
  XML: 142,
  PG_NODE_TREE: 194,
  SMGR: 210,
  PATH: 602,
  POLYGON: 604,
  CIDR: 650,
  FLOAT4: 700,
  FLOAT8: 701,
  ABSTIME: 702,
  RELTIME: 703,
  TINTERVAL: 704,
  CIRCLE: 718,
  MACADDR8: 774,
  MONEY: 790,
  MACADDR: 829,
  INET: 869,
  ACLITEM: 1033,
  BPCHAR: 1042,
  VARCHAR: 1043,
  DATE: 1082,
  TIME: 1083,
  TIMESTAMP: 1114,
  TIMESTAMPTZ: 1184,
  INTERVAL: 1186,
  TIMETZ: 1266,
  BIT: 1560,
  VARBIT: 1562,
  NUMERIC: 1700,
  REFCURSOR: 1790,
  REGPROCEDURE: 2202,
  REGOPER: 2203,
  REGOPERATOR: 2204,
  REGCLASS: 2205,
  REGTYPE: 2206,
  UUID: 2950,
  TXID_SNAPSHOT: 2970,
  PG_LSN: 3220,
  PG_NDISTINCT: 3361,
  PG_DEPENDENCIES: 3402,
  TSVECTOR: 3614,
  TSQUERY: 3615,
  GTSVECTOR: 3642,
  REGCONFIG: 3734,
  REGDICTIONARY: 3769,
  JSONB: 3802,
  REGNAMESPACE: 4089,
  REGROLE: 4096,
} as const;

const INT8 = builtins.INT8;

/** How the rows of a statement are made. */
export interface RowMaking {
  /** Its loaders and dumpers. */
  readonly context: AdaptersMap;
  readonly rowFactory: RowFactory<unknown>;
}

/**
 * Parsers of values by their types' oids: node-postgres's `types`, a client's, or a `TypeOverrides`. Their properties are no `#private`
 * fields, which are lost where a library, such as Knex, copies its configuration deeply.
 */
abstract class Parsers implements CustomTypes {
  /** The parsers set here. @internal */
  readonly parsers = new Map<number, TypeParser>();
  /** Counts the changes, by which what was made of the parsers is known to be outdated. @internal */
  changes = 0;

  /**
   * Sets the parser of a type. It receives the server's text; parsers of the binary format are not called, since values come as text,
   * or are read by the library itself. Arrays of the type use it, too.
   */
  setTypeParser(oid: number, format: string | TypeParser, parse?: TypeParser): void {
    const parser = typeof format === 'function' ? format : parse;
    if (typeof parser !== 'function') {
      throw new errors.ProgrammingError(
        `expected the parser of the type ${String(oid)} to be a function, got ${typeof parser}`,
      );
    }
    if (format === 'binary') return;
    this.parsers.set(oid, parser);
    this.changes++;
  }

  /** Returns the parser of a type; that of an unknown type returns the text. */
  abstract getTypeParser(oid: number, format?: string): TypeParser;
}

/** The parsers of all connections: node-postgres's conversions, and what was set in their place. */
class GlobalTypes extends Parsers {
  /** The oids of PostgreSQL's types by node-postgres's names. */
  readonly builtins = builtins;

  override getTypeParser(oid: number, format?: string): TypeParser {
    const own = format === 'binary' ? undefined : this.parsers.get(oid);
    if (own !== undefined) return own;
    // Later changes do not concern it, so that it may be set again in place of one that was set meanwhile.
    const map = globalMap();
    return (text: string | null) => {
      if (text === null) return null;
      const bytes = Buffer.from(text);
      return map.loaderFor(oid)(bytes, 0, bytes.length);
    };
  }
}

/** The parsers of all connections: node-postgres's `types`. */
export const types = new GlobalTypes();

/** Parsers in place of those of another source: node-postgres's `TypeOverrides`. */
export class TypeOverrides extends Parsers {
  /** The parsers of types that have none here; null: those of all connections. @internal */
  readonly base: CustomTypes | null;

  /** `base` has the parsers of types that have none here. @default types */
  constructor(base?: CustomTypes | null) {
    super();
    this.base = base ?? null;
  }

  override getTypeParser(oid: number, format?: string): TypeParser {
    const own = format === 'binary' ? undefined : this.parsers.get(oid);
    return own ?? (this.base ?? types).getTypeParser(oid, format);
  }
}

let sendsUtc = false;
let global: { readonly map: AdaptersMap; readonly changes: number; readonly sendsUtc: boolean } | null = null;

/** Whether dates are sent in UTC instead of local time. */
export const dateFormat = {
  get isUtc(): boolean {
    return sendsUtc;
  },
  set isUtc(value: boolean) {
    sendsUtc = value;
  },
};

/** The adapters of all connections. */
function globalMap(): AdaptersMap {
  if (global?.changes !== types.changes || global.sendsUtc !== sendsUtc) {
    const map = pgTypes(inferredParams(adapters));
    if (sendsUtc) map.registerDumper(Date, inUtc);
    for (const [oid, parse] of types.parsers) map.registerLoader(oid, parse);
    global = { map, changes: types.changes, sendsUtc };
  }
  return global.map;
}

/** The adapters made of overrides, and what they were made of. */
const made = new WeakMap<
  TypeOverrides,
  { readonly map: AdaptersMap; readonly base: AdaptersMap; readonly changes: number }
>();

/** The adapters of overrides; null if their base chooses parsers by itself. */
function mapOfOverrides(overrides: TypeOverrides): AdaptersMap | null {
  const base = overrides.base === null ? globalMap() : mapOf(overrides.base);
  if (base === null || overrides.parsers.size === 0) return base;
  const known = made.get(overrides);
  if (known?.base === base && known.changes === overrides.changes) return known.map;
  const map = base.clone();
  for (const [oid, parse] of overrides.parsers) map.registerLoader(oid, parse);
  made.set(overrides, { map, base, changes: overrides.changes });
  return map;
}

function mapOf(source: CustomTypes): AdaptersMap | null {
  if (source instanceof TypeOverrides) return mapOfOverrides(source);
  return source === types ? globalMap() : null;
}

/** How rows are made whose values are parsed by `source`. */
export function makingOf(source: CustomTypes, asArrays: boolean): RowMaking {
  const context = mapOf(source);
  if (context !== null) return { context, rowFactory: asArrays ? tupleRow : dictRow };
  return { context: textMap(), rowFactory: (cursor) => parsing(source, asArrays, cursor.description ?? []) };
}

/** Makes rows of the server's texts. */
function parsing(
  source: CustomTypes,
  asArrays: boolean,
  columns: readonly Column[],
): (values: readonly unknown[]) => unknown {
  const parsers = columns.map(({ typeCode }) => source.getTypeParser(typeCode, 'text'));
  const parsed = (values: readonly unknown[]): unknown[] =>
    values.map((value, i) => (typeof value === 'string' ? (parsers[i]!(value) as unknown) : value));
  if (asArrays) return parsed;
  const make = dictRow({ description: columns });
  return (values) => make(parsed(values));
}

let texts: AdaptersMap | null = null;

/** Adapters that leave all values as the server's text, unless the user has registered a loader for their type. */
function textMap(): AdaptersMap {
  if (texts === null) {
    const map = inferredParams(adapters);
    map.registerDefaultLoader((text) => text);
    texts = map;
  }
  return texts;
}

/** A date in UTC, as PostgreSQL reads it: it has years BC where JavaScript has a year 0 and negative years. */
function inUtc(date: Date): string {
  const year = date.getUTCFullYear();
  const [, clock = ''] = /^[+-]?\d+(-.*)Z$/.exec(date.toISOString()) ?? [];
  const written = String(year < 1 ? 1 - year : year).padStart(4, '0');
  return `${written}${clock}+00:00${year < 1 ? ' BC' : ''}`;
}

/** Reads `int8` as numbers, or again as strings. */
export function setInt8AsNumber(asNumber: boolean): void {
  types.setTypeParser(INT8, asNumber ? Number : String);
}
