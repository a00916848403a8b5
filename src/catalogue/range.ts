import { adaptersOf } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { CodecSource, TypeEntry } from '../types/adaptation.js';
import type { AsyncConnection } from '../connection/connection.js';
import type { WaitOptions } from '../connection/options.js';
import * as errors from '../errors/index.js';
import { multirangeOf, rangeOf } from '../types/range-codec.js';
import {
  checkInfo,
  fetchType,
  TYPE_COLUMNS,
  TypeInfo,
  type TypeInfoOptions,
  type TypeName,
} from './type-info.js';

const RANGE_QUERY = `
  SELECT ${TYPE_COLUMNS}, r.rngsubtype AS "subtypeOid"
  FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid
  WHERE t.oid = to_regtype(%s)`;

const MULTIRANGE_QUERY = `
  SELECT ${TYPE_COLUMNS}, r.rngtypid AS "rangeOid", r.rngsubtype AS "subtypeOid"
  FROM pg_type t JOIN pg_range r ON r.rngmultitypid = t.oid
  WHERE t.oid = to_regtype(%s)`;

const FIRST_WITH_MULTIRANGES = 140_000;

/** A range type, read from the server's catalogue (Psycopg: `RangeInfo`). */
export class RangeInfo extends TypeInfo {
  /** The oid of the bounds' type. */
  readonly subtypeOid: number;

  constructor(
    name: string,
    oid: number,
    arrayOid: number,
    options: TypeInfoOptions & { readonly subtypeOid: number },
  ) {
    super(name, oid, arrayOid, options);
    this.subtypeOid = options.subtypeOid;
  }

  /** Like `TypeInfo.fetch()`; also null if the type is not a range. */
  static override async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<RangeInfo | null> {
    const row = await fetchType<{ readonly subtypeOid: number }>(conn, name, RANGE_QUERY, options);
    return row && new RangeInfo(row.name, row.oid, row.arrayOid, row);
  }

  /** @internal */
  protected override entry(): TypeEntry {
    return { ...super.entry(), rangeOf: this.subtypeOid };
  }
}

/** A multirange type, read from the server's catalogue (Psycopg: `MultirangeInfo`). */
export class MultirangeInfo extends TypeInfo {
  /** The oid of the range type. */
  readonly rangeOid: number;
  /** The oid of the bounds' type. */
  readonly subtypeOid: number;

  constructor(
    name: string,
    oid: number,
    arrayOid: number,
    options: TypeInfoOptions & { readonly rangeOid: number; readonly subtypeOid: number },
  ) {
    super(name, oid, arrayOid, options);
    this.rangeOid = options.rangeOid;
    this.subtypeOid = options.subtypeOid;
  }

  /** Like `TypeInfo.fetch()`; also null if the type is not a multirange. Raises `NotSupportedError` before PostgreSQL 14. */
  static override async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<MultirangeInfo | null> {
    if (conn.info.serverVersion < FIRST_WITH_MULTIRANGES) {
      throw new errors.NotSupportedError('PostgreSQL has multirange types from version 14 on');
    }
    type More = { readonly rangeOid: number; readonly subtypeOid: number };
    const row = await fetchType<More>(conn, name, MULTIRANGE_QUERY, options);
    return row && new MultirangeInfo(row.name, row.oid, row.arrayOid, row);
  }

  /** @internal */
  protected override entry(): TypeEntry {
    return { ...super.entry(), multirangeOf: this.subtypeOid };
  }
}

/**
 * Loads a range type as `Range`, and sends ranges whose bounds have its subtype as this type (Psycopg: `register_range`): on a
 * connection, on a cursor, or without a context on all connections made from now on. Raises `ProgrammingError` for null, which
 * `RangeInfo.fetch()` returns for a missing type.
 *
 * @example
 * // CREATE TYPE floatrange AS RANGE (subtype = float8)
 * registerRange(await RangeInfo.fetch(conn, 'floatrange'), conn);
 */
export function registerRange(info: RangeInfo | null, context?: AdaptContext | null): void {
  const type = checkInfo(info, RangeInfo, 'registerRange', 'is there such a range type?');
  register(type, rangeOf(type.name, type.subtypeOid), context);
}

/** Like `registerRange()`, for a multirange type (Psycopg: `register_multirange`). */
export function registerMultirange(info: MultirangeInfo | null, context?: AdaptContext | null): void {
  const type = checkInfo(info, MultirangeInfo, 'registerMultirange', 'is there such a multirange type?');
  register(type, multirangeOf(type.name, type.subtypeOid), context);
}

function register(type: TypeInfo, codec: CodecSource, context: AdaptContext | null | undefined): void {
  const adapters = adaptersOf(context);
  type.register(adapters);
  adapters.setCodec(type.oid, codec);
}
