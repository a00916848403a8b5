import * as errors from '../errors/index.js';
import type { Adapters, CodecSource, DumpedParam, Dumper, SessionSettings, TypeEntry } from './adaptation.js';
import type { BoundCodec, Codec } from './codec.js';
import { Oids } from './oids.js';
import { builtInClass, isObjectPrototype } from './realm.js';
import { unknown } from './text.js';
import type { Loader } from '../wire/row-decoder.js';
import { checkArgument, FUNCTION, type Kind } from '../options/kinds.js';
import { Codecs, type DefaultLoader, type Tables } from './codecs.js';
import { checkedCodec, checkedDumper, replaced, type CustomDumper } from './custom-adapters.js';

export type { DumpedParam, Dumper, Loader, SessionSettings, TypeEntry };

/** An object with adapters: a connection, a cursor, or an adapters map itself (Psycopg: `AdaptContext`). */
export interface AdaptContext {
  /** The object's loaders and dumpers. */
  readonly adapters: AdaptersMap;
}

/** The `typeof` values that a dumper can be registered for. */
interface Primitives {
  readonly string: string;
  readonly number: number;
  readonly bigint: bigint;
  readonly boolean: boolean;
  readonly symbol: symbol;
  readonly undefined: undefined;
  readonly function: (...args: never[]) => unknown;
  readonly object: object;
}

const PRIMITIVES: readonly string[] = [
  'string',
  'number',
  'bigint',
  'boolean',
  'symbol',
  'undefined',
  'function',
  'object',
] satisfies (keyof Primitives)[];

type Class<T> = abstract new (...args: never[]) => T;

const NO_SETTINGS: SessionSettings = new Map();

const TYPE: Kind = {
  what: 'the name or the oid of a type',
  is: (value) =>
    typeof value === 'string' ||
    (Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 32),
};

function copyOf(tables?: Tables): Tables {
  return {
    codecs: new Map(tables?.codecs),
    loaders: new Map(tables?.loaders),
    defaultLoader: tables?.defaultLoader ?? null,
    dumpers: new Map(tables?.dumpers),
    byOid: new Map(tables?.byOid),
    byName: new Map(tables?.byName),
    byArrayOid: new Map(tables?.byArrayOid),
    ranges: new Map(tables?.ranges),
    multiranges: new Map(tables?.multiranges),
    made: new WeakMap(),
  };
}

/**
 * Converts values between JavaScript and PostgreSQL (Psycopg: `AdaptersMap`). The global map is `adapters`. Each connection
 * copies the global map when it is made, and each cursor its connection's map. A change affects only copies made afterwards.
 *
 * @example
 * // dates as Temporal.PlainDate, on this connection
 * conn.adapters.registerLoader('date', (text) => Temporal.PlainDate.from(text));
 * conn.adapters.registerDumper(Temporal.PlainDate, (date) => date.toString());
 */
export class AdaptersMap implements Adapters {
  #tables: Tables;
  /** Whether this map owns its tables. A copy shares them until either map changes. */
  #owned: boolean;
  readonly #settings: SessionSettings;

  /** @internal Use `adapters.clone()`. */
  constructor(tables?: Tables, settings = NO_SETTINGS) {
    this.#owned = tables === undefined;
    this.#tables = tables ?? copyOf();
    this.#settings = settings;
  }

  /** This map itself, so that an adapters map is an `AdaptContext`. */
  get adapters(): this {
    return this;
  }

  /** Returns an independent copy, in constant time. */
  clone(): AdaptersMap {
    return this.cloneFor(this.#settings);
  }

  /** @internal Returns a copy for a session, whose server formats values by `settings`. */
  cloneFor(settings: SessionSettings): AdaptersMap {
    this.#owned = false;
    return new AdaptersMap(this.#tables, settings);
  }

  /** Registers a server type. `TypeInfo.fetch()` reads such a type from the catalogue. */
  registerType(type: TypeEntry): void {
    const { byOid, byName, byArrayOid, ranges, multiranges } = this.#own();
    byOid.set(type.oid, type);
    byName.set(type.name, type);
    if (type.sqlName !== undefined) byName.set(type.sqlName, type);
    if (type.arrayOid !== 0) byArrayOid.set(type.arrayOid, type);
    if (type.rangeOf !== undefined) ranges.set(type.rangeOf, type.oid);
    if (type.multirangeOf !== undefined) multiranges.set(type.multirangeOf, type.oid);
  }

  /**
   * Registers a loader for a type; `load` receives the server's text (Psycopg: `register_loader`). Arrays, ranges and registered
   * composites that contain the type use the loader, too. The type is an oid or a name, such as `int4` or `int4[]`; an unknown
   * name raises `ProgrammingError`. If `load` throws, its query fails with `DataError` and the connection stays usable.
   *
   * @example
   * adapters.registerLoader('numeric', (text) => new Decimal(text)); // all connections made from now on
   * cur.adapters.registerLoader('int8', Number); // the results of this cursor
   */
  registerLoader(type: string | number, load: (text: string) => unknown): void {
    checkArgument('a loader', load, FUNCTION);
    this.setLoader(this.oidOf(type), (bytes, start, end) => load(bytes.utf8Slice(start, end)));
  }

  /**
   * Registers a loader for all types without a registration of their own, the built-in ones included; `load` receives the
   * server's text and the type's oid, and is not called for NULL. A type has a registration of its own if a loader or a codec was
   * registered for it, or if it is an array, a range or a domain of such a type. An array of another type comes as its whole
   * text, `{1,2}`. If `load` throws, its query fails with `DataError`.
   *
   * @example
   * const texts = adapters.clone();
   * texts.registerDefaultLoader((text) => text);
   * await conn.execute('SELECT now(), 1', null, { context: texts }); // as the server wrote them
   */
  registerDefaultLoader(load: (text: string, oid: number) => unknown): void {
    checkArgument('a loader', load, FUNCTION);
    this.setDefaultLoader(load);
  }

  /** @internal Like `registerDefaultLoader()`; null removes it. */
  setDefaultLoader(load: DefaultLoader | null): void {
    this.#own().defaultLoader = load;
  }

  /** @internal Removes the loader and the codec of a type, such as those registered for an array type. */
  forget(oid: number): void {
    const { codecs, loaders } = this.#own();
    codecs.delete(oid);
    loaders.delete(oid);
  }

  /** Like `registerLoader()`, for a loader that reads bytes. */
  setLoader(oid: number, loader: Loader): void {
    this.#own().loaders.set(oid, loader);
  }

  /**
   * Registers a codec for a type, which reads and writes its values in the text format and optionally in the binary format; see
   * `Codec`. Arrays, ranges and registered composites that contain the type use the codec, too. A function that the codec lacks
   * is replaced by a conversion from or to text, if the library knows the type's binary format. The type is an oid or a name, as
   * for `registerLoader()`, whose loaders for the type it replaces.
   *
   * @example
   * conn.adapters.registerCodec('money', {
   *   readText: (bytes, start, end) => Number(bytes.toString('latin1', start + 1, end).replaceAll(',', '')),
   *   readBinary: (bytes, start) => Number(bytes.readBigInt64BE(start)) / 100,
   * });
   */
  registerCodec<T>(type: string | number, codec: Codec<T>): void {
    const oid = this.oidOf(type);
    const checked = checkedCodec(codec);
    const known = this.#tables.codecs.get(oid) ?? unknown;
    this.setCodec(oid, (context) => replaced(typeof known === 'function' ? known(context) : known, checked));
  }

  /**
   * @internal Like `registerCodec()`, for a codec of the library, or for a function that makes it from the codecs of other
   *   types.
   */
  setCodec(oid: number, codec: CodecSource): void {
    const tables = this.#own();
    tables.codecs.set(oid, codec);
    tables.loaders.delete(oid);
  }

  /**
   * Registers a dumper for the instances of a class and its subclasses, or for the values of a `typeof` (Psycopg:
   * `register_dumper`). The dumper returns text in the server's format, whose type the server infers; or `{ text, oid }` with an
   * explicit type; or a wrapper such as `new Jsonb(…)`; or null for NULL. The class `Object` stands for plain objects only,
   * 'object' for all objects but arrays whose class has no dumper. If the dumper throws or returns anything else, the query fails
   * with `DataError` before anything is sent.
   *
   * @example
   * adapters.registerDumper(Decimal, (decimal) => new Numeric(decimal.toFixed()));
   * adapters.registerDumper(Point, ({ x, y }) => ({ text: `(${x},${y})`, oid: adapters.type('point')!.oid }));
   */
  registerDumper<T>(key: Class<T>, dumper: CustomDumper<T>): void;
  registerDumper<K extends keyof Primitives>(key: K, dumper: CustomDumper<Primitives[K]>): void;
  registerDumper(key: unknown, dumper: CustomDumper<never>): void {
    if (typeof key !== 'function' && !PRIMITIVES.includes(key as string)) {
      throw new errors.ProgrammingError(
        `a dumper is registered for a class or for a typeof (${PRIMITIVES.join(', ')}), got ${typeof key === 'string' ? `'${key}'` : typeof key}`,
      );
    }
    checkArgument('a dumper', dumper, FUNCTION);
    this.setDumper(key, checkedDumper(dumper));
  }

  /** @internal Like `registerDumper()`, for a dumper of the library. */
  setDumper(key: unknown, dumper: Dumper): void {
    this.#own().dumpers.set(key, dumper);
  }

  /** Returns the loader of a type; an unregistered type loads as the server's text. */
  loaderFor(oid: number): Loader {
    return this.codecFor(oid).readText;
  }

  /** @internal Returns the codec of a type. */
  codecFor(oid: number): BoundCodec {
    return this.codecs.codecFor(oid);
  }

  /** @internal The codecs of this map for its session. Any change of the map makes a new object. */
  get codecs(): Codecs {
    const { made } = this.#tables;
    let codecs = made.get(this.#settings);
    if (codecs === undefined) {
      // The codecs get a copy of the map, since this one may change.
      codecs = new Codecs(this.#tables, this.#settings, this.clone());
      made.set(this.#settings, codecs);
    }
    return codecs;
  }

  /** Returns the dumper registered for a `typeof`. */
  dumperForType(type: string): Dumper | undefined {
    return this.#tables.dumpers.get(type);
  }

  /** Returns the dumper registered for the object's class or for its nearest superclass except `Object`. */
  dumperForObject(value: object): Dumper | undefined {
    const { dumpers } = this.#tables;
    let link = Object.getPrototypeOf(value) as object | null;
    if (link === null || isObjectPrototype(link)) return dumpers.get(Object);
    for (; link !== null && link !== Object.prototype; link = Object.getPrototypeOf(link) as object | null) {
      const dumper = Object.hasOwn(link, 'constructor') ? dumpers.get(link.constructor) : undefined;
      if (dumper !== undefined) return dumper;
      // Built-in classes of another realm are other objects than this realm's, so they are matched by their instances' internal
      // slots.
      if (link !== Object.prototype && isObjectPrototype(link)) return dumpers.get(builtInClass(value));
    }
    return undefined;
  }

  /** Returns the type with this name or oid, or undefined for an unknown type. */
  type(nameOrOid: string | number): TypeEntry | undefined {
    return typeof nameOrOid === 'number'
      ? this.#tables.byOid.get(nameOrOid)
      : this.#tables.byName.get(nameOrOid);
  }

  /** Returns the element type of the array type with this oid, or undefined for an unknown type. */
  elementType(arrayOid: number): TypeEntry | undefined {
    return this.#tables.byArrayOid.get(arrayOid);
  }

  /** @internal Returns the oid of the range type over this subtype; 0 if there is none, which lets the server infer the type. */
  rangeOf(subtype: number): number {
    return this.#tables.ranges.get(subtype) ?? Oids.unknown;
  }

  /**
   * @internal Returns the oid of the multirange type over this subtype; 0 if there is none, which lets the server infer the
   *   type.
   */
  multirangeOf(subtype: number): number {
    return this.#tables.multiranges.get(subtype) ?? Oids.unknown;
  }

  /**
   * @internal Returns the oid of a type given by its name, such as `int4` or `int4[]`, or by its oid. Raises `ProgrammingError`,
   * which has the query that it is for, for an unknown name.
   */
  oidOf(type: string | number, query?: string): number {
    checkArgument('a type', type, TYPE);
    if (typeof type === 'number') return type;
    const isArray = type.endsWith('[]');
    const entry = this.#tables.byName.get(isArray ? type.slice(0, -2) : type);
    const oid = isArray ? entry?.arrayOid : entry?.oid;
    if (oid === undefined || oid === 0) {
      throw new errors.ProgrammingError(
        `the type '${type}' is not known here; give its oid, or register the type first`,
        { query },
      );
    }
    return oid;
  }

  /** Returns tables that may be changed, and discards the codecs made from them. */
  #own(): Tables {
    if (this.#owned) {
      this.#tables.made = new WeakMap();
    } else {
      this.#tables = copyOf(this.#tables);
      this.#owned = true;
    }
    return this.#tables;
  }
}
