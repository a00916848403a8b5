import { adaptersOf } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import type { Adapters, DumpedParam } from '../types/adaptation.js';
import { rareText, readText } from '../types/text.js';
import { withLoader } from '../types/codec.js';
import { isPlainObject } from '../types/realm.js';
import type { Loader } from '../wire/row-decoder.js';
import type { AsyncConnection } from '../connection/connection.js';
import type { WaitOptions } from '../connection/options.js';
import * as errors from '../errors/index.js';
import { ANYTHING } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import {
  checkInfo,
  fetchType,
  TYPE_COLUMNS,
  TypeInfo,
  type TypeInfoOptions,
  type TypeName,
} from './type-info.js';

const ENUM_QUERY = `
  SELECT ${TYPE_COLUMNS},
    array(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
  FROM pg_type t
  WHERE t.oid = to_regtype(%s) AND t.typtype = 'e'`;

/** An enum type, read from the server's catalogue (Psycopg: `EnumInfo`). */
export class EnumInfo extends TypeInfo {
  /** The labels, in order. */
  readonly labels: readonly string[];

  constructor(
    name: string,
    oid: number,
    arrayOid: number,
    labels: readonly string[],
    options: TypeInfoOptions = {},
  ) {
    super(name, oid, arrayOid, options);
    this.labels = labels;
  }

  /** Like `TypeInfo.fetch()`; also null if the type is not an enum. */
  static override async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<EnumInfo | null> {
    const row = await fetchType<{ readonly labels: string[] }>(conn, name, ENUM_QUERY, options);
    return row && new EnumInfo(row.name, row.oid, row.arrayOid, row.labels, row);
  }

  /** Like `TypeInfo.register()`. Also enables the binary format of labels. */
  override register(context?: AdaptContext | null): void {
    super.register(context);
    adaptersOf(context).setCodec(this.oid, rareText);
  }
}

/** Options of `registerEnum()`. */
export interface EnumOptions<V> {
  /**
   * A TypeScript enum, or any object. A label loads as the value of the key with the label's name; if no key has it, as the
   * string value that equals the label.
   *
   * @default labels load as strings
   */
  enum?: Readonly<Record<string, V>> | undefined;
  /** Pairs of a value and its label, for labels that are no keys of `enum`; takes precedence over `enum` (Psycopg: `mapping`). */
  mapping?: Iterable<readonly [value: V, label: string]> | undefined;
}

const OPTIONS = new KnownOptions<EnumOptions<unknown>>('registerEnum(info, context, options)', {
  enum: ANYTHING,
  mapping: ANYTHING,
});

/**
 * Loads an enum type, and arrays of it, as labels (Psycopg: `register_enum`): on a connection, on a cursor, or without a context
 * on all connections made from now on. Strings and arrays of strings can be sent where the server expects the enum. With `enum`
 * or `mapping`, labels load as the values assigned to them, and a label without a value raises `DataError`. Values that are
 * objects of a class are also sent as their labels. Raises `ProgrammingError` for null, which `EnumInfo.fetch()` returns for a
 * missing type.
 *
 * @example
 * enum Mood { sad = 1, happy = 2 }
 * registerEnum(await EnumInfo.fetch(conn, 'mood'), conn, { enum: Mood });
 */
export function registerEnum<V>(
  info: EnumInfo | null,
  context?: AdaptContext | null,
  options: EnumOptions<V> = {},
): void {
  OPTIONS.check(options);
  const { name, oid, labels } = checkInfo(info, EnumInfo, 'registerEnum', 'is there such an enum type?');
  const adapters = adaptersOf(context);
  const { enum: members, mapping } = options;
  const known = new Set(labels);
  const byLabel = new Map<string, V>();
  const entries = Object.entries(members ?? {});
  for (const [, value] of entries)
    if (typeof value === 'string' && known.has(value)) byLabel.set(value, value);
  for (const [key, value] of entries) if (known.has(key)) byLabel.set(key, value);
  for (const [value, label] of mapping ?? []) {
    if (!known.has(label)) {
      throw new errors.ProgrammingError(
        `the enum ${name} has no label '${label}'; it has ${labels.join(', ')}`,
      );
    }
    byLabel.set(label, value);
  }
  info!.register(adapters);
  if (members === undefined && mapping === undefined) return;
  const valueOf: Loader = (bytes, start, end) => {
    const label = readText(bytes, start, end);
    const value = byLabel.get(label);
    if (value === undefined && !byLabel.has(label)) {
      throw new errors.DataError(`no value was registered for the label '${label}' of the enum ${name}`);
    }
    return value;
  };
  adapters.setCodec(oid, withLoader(rareText, valueOf));
  const byValue = new Map<unknown, string>();
  for (const [label, value] of byLabel) if (!byValue.has(value)) byValue.set(value, label);
  const samples = new Map([...byValue.keys()].map((value) => [classOf(value), value]));
  for (const [valueClass, sample] of samples) {
    if (valueClass === null) continue;
    // The class may have values of another enum, or another dumper.
    const otherwise = adapters.dumperForObject(sample as object);
    adapters.setDumper(valueClass, (value: object, place: string, map: Adapters): DumpedParam => {
      const label = byValue.get(value);
      if (label !== undefined) return { text: label, oid };
      if (otherwise !== undefined) return otherwise(value as never, place, map);
      throw new errors.DataError(`${place}: this ${valueClass.name} stands for no label of the enum ${name}`);
    });
  }
}

function classOf(value: unknown): (abstract new (...args: never[]) => object) | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  if (isPlainObject(value)) return null;
  return (Object.getPrototypeOf(value) as object).constructor as abstract new (...args: never[]) => object;
}
