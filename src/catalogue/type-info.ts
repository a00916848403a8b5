import { adaptersOf, builtinAdapters } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { TypeEntry } from '../types/adaptation.js';
import { runApart } from '../connection/apart.js';
import { AsyncConnection, type WaitOptions } from '../connection/connection.js';
import { CORE } from '../connection/connection-core.js';
import { rowDecoders } from '../types/decoders.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { dictRow } from '../rows.js';

/** The name of a type: as SQL writes it, with its schema or without, or an `sql.Identifier`. */
export type TypeName = string | { asString(context?: AsyncConnection): string };

/** What else is known of a type. */
export interface TypeInfoOptions {
  /** The name as SQL writes it: with its schema where that is needed, quoted where that is. @default the name */
  regtype?: string | undefined;
  /** What separates the elements of an array. @default ',' */
  delimiter?: string | undefined;
  /** Of a domain: oid of the type that it restricts. */
  baseOid?: number | undefined;
}

/** A row of the catalogue, which has what the options of a `TypeInfo` have. */
export interface TypeRow {
  readonly name: string;
  readonly oid: number;
  readonly arrayOid: number;
  readonly regtype: string;
  readonly delimiter: string;
}

/** @internal What gives a `TypeRow` of `pg_type t`. */
export const TYPE_COLUMNS = `t.typname::text AS name, t.oid, t.typarray AS "arrayOid", t.oid::regtype::text AS regtype,
    t.typdelim::text AS delimiter`;

const TYPE_QUERY = `
  WITH RECURSIVE base (oid, restricts) AS (
    SELECT oid, typbasetype FROM pg_type WHERE oid = to_regtype(%s)
    UNION ALL
    SELECT t.oid, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.restricts
  )
  SELECT ${TYPE_COLUMNS}, (SELECT nullif(oid, t.oid) FROM base WHERE restricts = 0) AS "baseOid"
  FROM pg_type t
  WHERE t.oid = to_regtype(%s)`;

/**
 * A type as the server's catalogue has it (Psycopg: `TypeInfo`). Once registered, its arrays load as arrays, values with its oid
 * are sent as elements of them, and `registerLoader()` knows it by name. A domain's arrays then have the elements of the type
 * that it restricts; a plain column of a domain needs nothing, since the server gives it that type.
 *
 * @example
 * const info = await TypeInfo.fetch(conn, 'citext');
 * info?.register(conn);
 */
export class TypeInfo {
  /** Its name. */
  readonly name: string;
  /** oid of the type. */
  readonly oid: number;
  /** oid of the array type; 0 if there is none. */
  readonly arrayOid: number;
  /** The name as SQL writes it. */
  readonly regtype: string;
  /** What separates the elements of an array. */
  readonly delimiter: string;
  /** Of a domain, oid of the type that it restricts; null for other types. */
  readonly baseOid: number | null;

  constructor(name: string, oid: number, arrayOid: number, options: TypeInfoOptions = {}) {
    this.name = name;
    this.oid = oid;
    this.arrayOid = arrayOid;
    this.regtype = options.regtype ?? name;
    this.delimiter = options.delimiter ?? ',';
    this.baseOid = options.baseOid ?? null;
  }

  /**
   * Reads a type from the catalogue; null if there is none of this name. The connection is left as it was found: in no
   * transaction, or in the one it was in. Raises what the server says of a name that can't be one, or in a transaction that has
   * failed.
   */
  static async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<TypeInfo | null> {
    const row = await fetchType<{ readonly baseOid: number | null }>(conn, name, TYPE_QUERY, options);
    return (
      row && new TypeInfo(row.name, row.oid, row.arrayOid, { ...row, baseOid: row.baseOid ?? undefined })
    );
  }

  /** Makes the type known on a connection, on a cursor, or with no context on all connections made from now on. */
  register(context?: AdaptContext | null): void {
    adaptersOf(context).registerType(this.entry());
  }

  /** @internal */
  protected entry(): TypeEntry {
    const { name, oid, arrayOid, delimiter, regtype, baseOid } = this;
    return { name, oid, arrayOid, delimiter, sqlName: regtype, ...(baseOid === null ? {} : { baseOid }) };
  }
}

/** The server makes out the type. */
const UNKNOWN = 0;

/** @internal The row of a query whose every placeholder stands for the name of a type; null if there is none. */
export async function fetchType<More extends object>(
  conn: object,
  name: TypeName,
  query: string,
  { signal }: WaitOptions,
): Promise<(TypeRow & More) | null> {
  if (!(conn instanceof AsyncConnection)) {
    throw new errors.ProgrammingError('fetch() needs an AsyncConnection to read the type from');
  }
  const connection = conn as AsyncConnection;
  const text: unknown = typeof name === 'string' ? name : name?.asString?.(connection);
  if (typeof text !== 'string') {
    throw new errors.ProgrammingError(
      `fetch() takes the name of a type as a string or an sql.Identifier, got ${name === null ? 'null' : typeof name}`,
    );
  }
  try {
    const [result] = await runApart(connection[CORE], {
      text: query.replaceAll('%s', '$1'),
      executions: [[{ text, oid: UNKNOWN }]],
      // The catalogue is read the same way whatever adapters are registered.
      rows: rowDecoders(builtinAdapters, dictRow),
      prepare: false,
      signal,
    });
    return (result?.rows[0] as (TypeRow & More) | undefined) ?? null;
  } catch (error) {
    if (error instanceof errors.conditionClass('UndefinedObject')) return null;
    throw callersStack(error);
  }
}

/** @internal Raises `ProgrammingError` for what is not the information that a registration needs. */
export function checkInfo<T extends TypeInfo>(
  info: T | null | undefined,
  infoClass: abstract new (...args: never[]) => T,
  register: string,
  hint: string,
): T {
  if (info instanceof infoClass) return info;
  const { name } = infoClass;
  throw new errors.ProgrammingError(
    info == null
      ? `${register}() got no ${name}: ${hint}`
      : `${register}() needs a ${name}, got ${typeof info === 'object' ? (info as object).constructor.name : typeof info}`,
  );
}
