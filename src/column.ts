import { adapters } from './types/adapters.js';
import type { AdaptersMap } from './types/adapters-map.js';
import { Oids } from './types/oids.js';
import type { Field } from './wire/backend-messages.js';

/** The properties of a column's description. */
type Described = Omit<Field, 'format'>;

const BPCHAR = 1042;
const BIT = 1560;
const VARBIT = 1562;
const TIMES: ReadonlySet<number> = new Set([
  Oids.time,
  Oids.timetz,
  Oids.timestamp,
  Oids.timestamptz,
  Oids.interval,
]);

/** The types known to a cursor's adapters. */
export type KnownTypes = Pick<AdaptersMap, 'type' | 'elementType'>;

/** A column of a result (Psycopg: `Column`). */
export class Column {
  /** The column's name in the result. */
  readonly name: string;
  /** The oid of the column's type. */
  readonly typeCode: number;
  /** The declared length of a character or bit type; null for other types. */
  readonly displaySize: number | null = null;
  /** Size of a value in bytes; null for variable-length types. */
  readonly internalSize: number | null;
  /** Declared digits of a numeric, or fractional digits of a time; null for other types. */
  readonly precision: number | null = null;
  /** Declared fractional digits of a numeric; null for other types. */
  readonly scale: number | null = null;
  /**
   * The type's modifier as the server stores it (`pg_attribute.atttypmod`), which `displaySize`, `precision` and `scale` interpret;
   * null for a type without one, for which the server reports -1 (Psycopg: `_fmod`).
   */
  readonly typeModifier: number | null;
  /** Always null: the server does not report it. */
  readonly nullOk = null;
  /** The oid of the column's table; null for a computed column. */
  readonly tableOid: number | null;
  /** The column's number in its table, from 1; null for a computed column. */
  readonly tableColumn: number | null;
  readonly #types: KnownTypes;

  /** @internal */
  constructor({ name, typeOid, typeSize, typmod, tableOid, tableColumn }: Described, types: KnownTypes) {
    this.name = name;
    this.typeCode = typeOid;
    this.#types = types;
    this.internalSize = typeSize >= 0 ? typeSize : null;
    this.tableOid = tableOid === 0 ? null : tableOid;
    this.tableColumn = tableColumn === 0 ? null : tableColumn;
    this.typeModifier = typmod < 0 ? null : typmod;
    if (typmod < 0) return;
    const base = types.elementType(typeOid)?.oid ?? typeOid;
    if (base === BPCHAR || base === Oids.varchar) this.displaySize = typmod - 4;
    else if (base === BIT || base === VARBIT) this.displaySize = typmod;
    else if (TIMES.has(base)) this.precision = typmod & 0xffff;
    else if (base === Oids.numeric) {
      this.precision = typmod >> 16;
      // The scale is an 11-bit signed integer: PostgreSQL 15 introduced negative scales.
      const scale = (typmod - 4) & 0x7ff;
      this.scale = scale >= 0x400 ? scale - 0x800 : scale;
    }
  }

  /**
   * The type in SQL's form: `varchar(42)`, `date[]`. The oid as text if the cursor's adapters do not know the type (see
   * `TypeInfo`).
   */
  get typeDisplay(): string {
    const element = this.#types.elementType(this.typeCode);
    const type = element ?? this.#types.type(this.typeCode);
    if (type === undefined) return String(this.typeCode);
    const modifiers =
      this.scale !== null ? [this.precision, this.scale] : [this.displaySize ?? this.precision];
    const shown = modifiers[0] === null ? '' : `(${modifiers.join(',')})`;
    return `${type.name}${shown}${element === undefined ? '' : '[]'}`;
  }
}

/** Makes a `Column` from the server's description. */
export function describeField(field: Described, types: KnownTypes = adapters): Column {
  return new Column(field, types);
}
