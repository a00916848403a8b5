import { Column, getTableName, is, SQL, Subquery, type DriverValueDecoder } from 'drizzle-orm';
import type { SelectedFieldsOrdered } from 'drizzle-orm/pg-core';

/** Makes of a row's values what Drizzle gives to its user. */
export type RowMapper = (row: readonly unknown[]) => Record<string, unknown>;

type Field = SelectedFieldsOrdered[number]['field'];
type Decoder = DriverValueDecoder<unknown, unknown>;

/** One column of a result: where its value goes, and how it is read. */
interface Target {
  /** The objects above the value's. */
  readonly parents: readonly string[];
  readonly key: string;
  /** null: the driver's value is the column's. */
  readonly decoder: Decoder | null;
}

/** The row of a joined table: an object that is null as a whole if there was nothing to join. */
interface Joined {
  readonly name: string;
  readonly target: Target;
}

/**
 * Drizzle's own `mapResultRow()`, with all that does not depend on a row looked up once. The rows of a query have the same
 * result, whatever its fields, its joins and its values.
 */
export function rowMapper(
  fields: SelectedFieldsOrdered,
  joinsNotNullable: Readonly<Record<string, boolean>> | undefined,
): RowMapper {
  const targets = fields.map(({ path, field }) => ({
    parents: path.slice(0, -1),
    key: path.at(-1)!,
    decoder: withoutIdentity(decoderOf(field)),
  }));
  const joined = joinsNotNullable === undefined ? [] : nullableJoins(fields, targets, joinsNotNullable);
  const isFlat = targets.every(({ parents }) => parents.length === 0);
  const mapped: RowMapper = isFlat ? (row) => flatRow(targets, row) : (row) => nestedRow(targets, row);
  if (joined.length === 0) return mapped;
  return (row) => {
    const result = mapped(row);
    const missing = joined.filter(
      ({ name, target }) => (result[name] as Record<string, unknown>)[target.key] === null,
    );
    for (const { name } of missing) result[name] = null;
    return result;
  };
}

function flatRow(targets: readonly Target[], row: readonly unknown[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (let i = 0; i < targets.length; i++) {
    const { key, decoder } = targets[i]!;
    result[key] = decoded(decoder, row[i]);
  }
  return result;
}

function nestedRow(targets: readonly Target[], row: readonly unknown[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (let i = 0; i < targets.length; i++) {
    const { parents, key, decoder } = targets[i]!;
    let node = result;
    for (const parent of parents) node = (node[parent] ??= {}) as Record<string, unknown>;
    node[key] = decoded(decoder, row[i]);
  }
  return result;
}

function decoded(decoder: Decoder | null, value: unknown): unknown {
  return value === null || decoder === null ? value : decoder.mapFromDriverValue(value);
}

/** As Drizzle decides it: by the first column of each table that is selected as an object of its own. */
function nullableJoins(
  fields: SelectedFieldsOrdered,
  targets: readonly Target[],
  joinsNotNullable: Readonly<Record<string, boolean>>,
): Joined[] {
  const tables = new Map<string, { readonly first: number; readonly tables: Set<string> }>();
  for (const [i, { path, field }] of fields.entries()) {
    if (path.length !== 2 || !is(field, Column)) continue;
    const name = path[0]!;
    if (!tables.has(name)) tables.set(name, { first: i, tables: new Set() });
    tables.get(name)!.tables.add(getTableName(field.table));
  }
  return [...tables].flatMap(([name, { first, tables: names }]) => {
    const [table] = names;
    const isNullable = names.size === 1 && joinsNotNullable[table!] !== true;
    return isNullable ? [{ name, target: targets[first]! }] : [];
  });
}

/** The decoder of a field; that of an SQL expression is not in Drizzle's declarations. */
function decoderOf(field: Field): Decoder {
  if (is(field, Column)) return field;
  const expression = is(field, SQL) ? field : is(field, Subquery) ? field._.sql : field.sql;
  return (expression as unknown as { readonly decoder: Decoder }).decoder;
}

/** The functions that give back what they get: those of SQL expressions, and of columns without a conversion. */
const IDENTITIES: ReadonlySet<unknown> = new Set([Column.prototype, decoderOf(new SQL([]))].map(functionOf));

function withoutIdentity(decoder: Decoder): Decoder | null {
  return IDENTITIES.has(functionOf(decoder)) ? null : decoder;
}

function functionOf(decoder: Decoder): unknown {
  return Reflect.get(decoder, 'mapFromDriverValue');
}
