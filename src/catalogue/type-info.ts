import { adaptersOf, builtinAdapters } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { TypeEntry } from '../types/adaptation.js';
import { runApart } from '../connection/apart.js';
import { AsyncConnection } from '../connection/connection.js';
import type { WaitOptions } from '../connection/options.js';
import { CORE } from '../connection/connection-core.js';
import { rowDecoders } from '../types/decoders.js';
import { Oids } from '../types/oids.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { SIGNAL, TEXT, whole } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import { dictRow } from '../rows.js';

/** A type's name: in SQL's form, with or without its schema, or as an `sql.Identifier`. */
export type TypeName = string | { asString(context?: AsyncConnection): string };

/** The optional properties of a `TypeInfo`. */
export interface TypeInfoOptions {
  /** The name in SQL's form, quoted and with its schema where necessary. @default the name */
  regtype?: string | undefined;
  /** The separator of array elements. @default ',' */
  delimiter?: string | undefined;
  /** For a domain: the oid of its base type. */
  baseOid?: number | undefined;
}

const OPTIONS = new KnownOptions<TypeInfoOptions>('new TypeInfo(name, oid, arrayOid, options)', {
  regtype: TEXT,
  delimiter: TEXT,
  baseOid: whole(0),
});
const FETCH = new KnownOptions<WaitOptions>('TypeInfo.fetch(conn, name, options)', { signal: SIGNAL });

/** A row of the catalogue query, with the properties of `TypeInfoOptions`. */
export interface TypeRow extends TypeEntry {
  readonly regtype: string;
}

/** @internal The columns of a `TypeRow`, for a query of `pg_type t`. */
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
 * A type read from the server's catalogue (Psycopg: `TypeInfo`). After `register()`, arrays of the type load as arrays, arrays of
 * values with its oid can be sent, and `registerLoader()` accepts its name. A domain's arrays load with the elements of its base
 * type; a plain column of a domain needs no registration, since the server reports the base type.
 *
 * @example
 * const info = await TypeInfo.fetch(conn, 'citext');
 * info?.register(conn);
 */
export class TypeInfo {
  /** The type's name. */
  readonly name: string;
  /** The type's oid. */
  readonly oid: number;
  /** The array type's oid; 0 if there is none. */
  readonly arrayOid: number;
  /** The name in SQL's form. */
  readonly regtype: string;
  /** The separator of array elements. */
  readonly delimiter: string;
  /** For a domain, the oid of its base type; null for other types. */
  readonly baseOid: number | null;

  constructor(name: string, oid: number, arrayOid: number, options: TypeInfoOptions = {}) {
    if (new.target === TypeInfo) OPTIONS.check(options);
    this.name = name;
    this.oid = oid;
    this.arrayOid = arrayOid;
    this.regtype = options.regtype ?? name;
    this.delimiter = options.delimiter ?? ',';
    this.baseOid = options.baseOid ?? null;
  }

  /**
   * Reads a type from the catalogue (Psycopg: `TypeInfo.fetch`); null if there is no type of this name. Leaves the connection's
   * transaction status unchanged. Raises the server's error for a malformed name, and within a failed transaction.
   */
  static async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<TypeInfo | null> {
    const row = await fetchType<{ readonly baseOid: number | null }>(conn, name, TYPE_QUERY, options);
    if (row === null) return null;
    const { name: typname, oid, arrayOid, regtype, delimiter, baseOid } = row;
    return new TypeInfo(typname, oid, arrayOid, { regtype, delimiter, baseOid: baseOid ?? undefined });
  }

  /**
   * Registers the type on a connection, on a cursor, or without a context on all connections made from now on (Psycopg:
   * `TypeInfo.register`).
   */
  register(context?: AdaptContext | null): void {
    adaptersOf(context).registerType(this.entry());
  }

  /** @internal */
  protected entry(): TypeEntry {
    const { name, oid, arrayOid, delimiter, regtype, baseOid } = this;
    return { name, oid, arrayOid, delimiter, sqlName: regtype, ...(baseOid === null ? {} : { baseOid }) };
  }
}

/** @internal Runs a query whose placeholders all stand for the type's name, and returns its row; null if there is none. */
export async function fetchType<More extends object>(
  conn: object,
  name: TypeName,
  query: string,
  options: WaitOptions,
): Promise<(TypeRow & More) | null> {
  FETCH.check(options);
  const { signal } = options;
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
      executions: [[{ text, oid: Oids.unknown }]],
      // The catalogue's values must not depend on the user's adapters.
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

/** @internal Raises `ProgrammingError` if a registration got something other than the type information it needs. */
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
