import { trimmed } from './ascii.js';
import * as errors from '../errors/index.js';
import { TYPED } from '../query/brand.js';
import { describeKind, FUNCTION_OR_NULL } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import { thrownText } from '../errors/thrown.js';
import type { Adapters, DumpedParam } from './adaptation.js';
import { checkText } from './write-text.js';
import { shortened, shown } from './codec.js';
import { parseInteger, scanDecimal } from './decimal.js';
import { isHollow, refusal } from './dump.js';
import { dumpFloat } from './dump-scalars.js';
import { Oids } from './oids.js';

/** A value with an explicit PostgreSQL type. */
export abstract class Wrapper {
  /** @internal */
  get [TYPED](): true {
    return true;
  }

  /** @internal */
  abstract dump(place: string, map: Adapters): DumpedParam;
}

/** Serialises a value as JSON. */
export type JsonDumps = (value: unknown) => string;

/** Options of `Json` and `Jsonb`. */
export interface JsonOptions {
  /** Serialises the value. @default the function set by `setJsonDumps()`, else JSON.stringify */
  dumps?: JsonDumps | undefined;
}

const KINDS = { dumps: FUNCTION_OR_NULL };
const JSON_OPTIONS = new KnownOptions<JsonOptions>('new Json(value, options)', KINDS);
const JSONB_OPTIONS = new KnownOptions<JsonOptions>('new Jsonb(value, options)', KINDS);

/**
 * Any value, sent as json (Psycopg: `Json`). When it is sent, raises `DataError` if the value cannot be serialised, `ProgrammingError` for
 * a promise or a composed query.
 */
export class Json extends Wrapper {
  /** The value, which is serialised when it is sent. */
  readonly value: unknown;
  readonly #dumps: JsonDumps | null;
  protected readonly oid: number = Oids.json;

  constructor(value: unknown, options?: JsonOptions) {
    super();
    if (options !== undefined) (this instanceof Jsonb ? JSONB_OPTIONS : JSON_OPTIONS).check(options);
    this.value = value;
    this.#dumps = options?.dumps ?? null;
  }

  /** @internal */
  override dump(place: string): DumpedParam {
    return this.dumpWith(JSON.stringify as JsonDumps, place);
  }

  /** @internal */
  dumpWith(dumps: JsonDumps, place: string): DumpedParam {
    if (isHollow(this.value)) throw new errors.ProgrammingError(`${place}: ${refusal(this.value)}`);
    let text: unknown;
    try {
      text = (this.#dumps ?? dumps)(this.value);
    } catch (cause) {
      throw new errors.DataError(`${place}: the value can't be turned into JSON: ${thrownText(cause)}`, {
        cause,
      });
    }
    if (typeof text !== 'string') {
      throw new errors.DataError(`${place}: a value of type ${typeof this.value} can't be turned into JSON`);
    }
    return { text: checkText(text, place), oid: this.oid };
  }
}

/** Like `Json`, sent as jsonb (Psycopg: `Jsonb`). */
export class Jsonb extends Json {
  protected override readonly oid: number = Oids.jsonb;
}

/** An integer of a fixed size. Raises `DataError` for a value that is not an integer or out of range. */
abstract class IntegerWrapper extends Wrapper {
  readonly value: bigint;
  readonly #oid: number;

  protected constructor(
    name: string,
    value: number | bigint | string,
    oid: number,
    min: bigint,
    max: bigint,
  ) {
    super();
    this.#oid = oid;
    const integer = toInteger(value);
    if (integer === null) throw new errors.DataError(`${name} takes an integer, got ${described(value)}`);
    if (integer < min || integer > max) {
      throw new errors.DataError(`${shortened(String(value))} is out of range for ${name}`);
    }
    this.value = integer;
  }

  /** @internal */
  override dump(): DumpedParam {
    return { text: String(this.value), oid: this.#oid };
  }
}

/** An integer sent as int2 (Psycopg: `Int2`). Raises `DataError` for a value that is not an integer or out of range. */
export class Int2 extends IntegerWrapper {
  constructor(value: number | bigint | string) {
    super('Int2', value, Oids.int2, -(2n ** 15n), 2n ** 15n - 1n);
  }
}

/** An integer sent as int4 (Psycopg: `Int4`). Raises `DataError` for a value that is not an integer or out of range. */
export class Int4 extends IntegerWrapper {
  constructor(value: number | bigint | string) {
    super('Int4', value, Oids.int4, -(2n ** 31n), 2n ** 31n - 1n);
  }
}

/** An integer sent as int8 (Psycopg: `Int8`). Raises `DataError` for a value that is not an integer or out of range. */
export class Int8 extends IntegerWrapper {
  constructor(value: number | bigint | string) {
    super('Int8', value, Oids.int8, -(2n ** 63n), 2n ** 63n - 1n);
  }
}

/** An integer sent as oid (Psycopg: `Oid`). Raises `DataError` for a value that is not an integer or out of range. */
export class Oid extends IntegerWrapper {
  constructor(value: number | bigint | string) {
    super('Oid', value, Oids.oid, 0n, 2n ** 32n - 1n);
  }
}

/** A number sent as a float. Raises `DataError` for a value that is not a number. */
abstract class FloatWrapper extends Wrapper {
  /** The number. */
  readonly value: number;
  readonly #oid: number;

  protected constructor(name: string, value: number, oid: number) {
    super();
    if (typeof value !== 'number') {
      throw new errors.DataError(`${name} takes a number, got ${describeKind(value)}`);
    }
    this.value = value;
    this.#oid = oid;
  }

  /** @internal */
  override dump(): DumpedParam {
    return dumpFloat(this.value, this.#oid);
  }
}

/** A number sent as float4 (Psycopg: `Float4`). Raises `DataError` for a value that is not a number. */
export class Float4 extends FloatWrapper {
  constructor(value: number) {
    super('Float4', value, Oids.float4);
  }
}

/** A number sent as float8, even if it is integral (Psycopg: `Float8`). Raises `DataError` for a value that is not a number. */
export class Float8 extends FloatWrapper {
  constructor(value: number) {
    super('Float8', value, Oids.float8);
  }
}

const NOT_FINITE: ReadonlySet<string> = new Set(['NaN', 'Infinity', '+Infinity', '-Infinity']);

/**
 * A decimal number sent as numeric, exact to the last digit of its text (Psycopg sends `Decimal` so). Raises `DataError` for a
 * value that is not a decimal number.
 */
export class Numeric extends Wrapper {
  /** The number's text. */
  readonly value: string;

  constructor(value: string | number | bigint) {
    super();
    if (Array.isArray(value)) throw new errors.DataError('Numeric takes a decimal number, got an array');
    this.value = String(value);
    const text = trimmed(this.value);
    if (scanDecimal(text) === null && !NOT_FINITE.has(text)) {
      throw new errors.DataError(`Numeric takes a decimal number, got ${shown(this.value)}`);
    }
  }

  /** @internal */
  override dump(): DumpedParam {
    return { text: trimmed(this.value), oid: Oids.numeric };
  }

  override toString(): string {
    return this.value;
  }
}

/** Converts strictly; null for a value that is no integer. `BigInt()` reads white space as 0, true as 1 and '0x10' as 16. */
function toInteger(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : null;
  return typeof value === 'string' ? parseInteger(value) : null;
}

function described(value: unknown): string {
  return typeof value === 'string' ? shown(value) : describeKind(value);
}
