import { adapters } from './types/adapters.js';
import type { AdaptersMap } from './types/adapters-map.js';
import { Oids } from './types/oids.js';
import type { Field } from './wire/backend-messages.js';

/** What a column is described by. */
type Described = Omit<Field, 'format'>;

const BPCHAR = 1042;
const VARCHAR = 1043;
const BIT = 1560;
const VARBIT = 1562;
const TIMES: ReadonlySet<number> = new Set([
  Oids.time,
  Oids.timetz,
  Oids.timestamp,
  Oids.timestamptz,
  Oids.interval,
]);

/** What knows the types of columns: the adapters of a cursor. */
export type KnownTypes = Pick<AdaptersMap, 'type' | 'elementType'>;

/** A column of a result (Psycopg: `Column`). */
export class Column {
  /** Its name in the result. */
  readonly name: string;
  /** The oid of the column's type. */
  readonly typeCode: number;
  /** The length that a character or bit type is declared with. */
  readonly displaySize: number | null = null;
  /** Bytes of a value, for types of fixed size. */
  readonly internalSize: number | null;
  /** Digits of a numeric, or fractional digits of a time. */
  readonly precision: number | null = null;
  /** Fractional digits of a numeric. */
  readonly scale: number | null = null;
  /** Always null: the server does not tell. */
  readonly nullOk = null;
  /** The oid of the table the column comes from; null if it is computed. */
  readonly tableOid: number | null;
  /** The number of the column in its table, from 1; null if it is computed. */
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
    if (typmod < 0) return;
    const base = types.elementType(typeOid)?.oid ?? typeOid;
    if (base === BPCHAR || base === VARCHAR) this.displaySize = typmod - 4;
    else if (base === BIT || base === VARBIT) this.displaySize = typmod;
    else if (TIMES.has(base)) this.precision = typmod & 0xffff;
    else if (base === Oids.numeric) {
      this.precision = typmod >> 16;
      // Eleven bits with a sign: PostgreSQL 15 has negative scales.
      const scale = (typmod - 4) & 0x7ff;
      this.scale = scale >= 0x400 ? scale - 0x800 : scale;
    }
  }

  /** The type as SQL writes it: `varchar(42)`, `date[]`; its oid if the cursor's adapters don't know the type (see `TypeInfo`). */
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

/** Describes a column as the server did, its type by what is known of types. */
export function describeField(field: Described, types: KnownTypes = adapters): Column {
  return new Column(field, types);
}
