import * as errors from '../errors/index.js';
import type { Adapters, CodecSource, DumpedParam, Dumper, SessionSettings, TypeEntry } from './adaptation.js';
import { checkedCodec, replaced } from './checked-codec.js';
import type { BoundCodec, Codec } from './codec.js';
import { Oids } from './oids.js';
import { builtInClass, isObjectPrototype } from './realm.js';
import { unknown } from './text.js';
import type { Loader } from '../wire/row-decoder.js';
import { Codecs, type CodecTables } from './codecs.js';
import { checkedDumper, type CustomDumper } from './custom-dumper.js';

export type { DumpedParam, Dumper, Loader, SessionSettings, TypeEntry };

/** What has adapters of its own: a connection, a cursor, or an adapters map itself (Psycopg: `AdaptContext`). */
export interface AdaptContext {
  /** How it sends values and loads them. */
  readonly adapters: AdaptersMap;
}

/** What `typeof` says of the values that a dumper can be registered for. */
interface Primitives {
  readonly string: string;
  readonly number: number;
  readonly bigint: bigint;
  readonly boolean: boolean;
  readonly symbol: symbol;
  readonly undefined: undefined;
  readonly function: (...args: never[]) => unknown;
}

const PRIMITIVES: readonly string[] = [
  'string',
  'number',
  'bigint',
  'boolean',
  'symbol',
  'undefined',
  'function',
] satisfies (keyof Primitives)[];

type Class<T> = abstract new (...args: never[]) => T;

interface Tables extends CodecTables {
  readonly codecs: Map<number, CodecSource>;
  readonly loaders: Map<number, Loader>;
  readonly dumpers: Map<unknown, Dumper>;
  readonly byOid: Map<number, TypeEntry>;
  readonly byName: Map<string, TypeEntry>;
  readonly byArrayOid: Map<number, TypeEntry>;
  /** Range types by their bounds' type. */
  readonly ranges: Map<number, number>;
  readonly multiranges: Map<number, number>;
  /** What has been made of all that, for the settings of each session. */
  made: WeakMap<SessionSettings, Codecs>;
}

const NO_SETTINGS: SessionSettings = new Map();

function copyOf(tables?: Tables): Tables {
  return {
    codecs: new Map(tables?.codecs),
    loaders: new Map(tables?.loaders),
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
 * How values are sent to the server and loaded from it (Psycopg: `AdaptersMap`). There is a global one, `adapters`; each
 * connection has a copy of it, each cursor one of its connection's: a change applies to copies made later.
 *
 * @example
 * // dates as Temporal.PlainDate, on this connection
 * conn.adapters.registerLoader('date', (text) => Temporal.PlainDate.from(text));
 * conn.adapters.registerDumper(Temporal.PlainDate, (date) => date.toString());
 */
export class AdaptersMap implements Adapters {
  #tables: Tables;
  /** Whether the tables are this map's alone; a copy shares them until one of the two is changed. */
  #owned: boolean;
  readonly #settings: SessionSettings;

  /** @internal Use `adapters.clone()`. */
  constructor(tables?: Tables, settings = NO_SETTINGS) {
    this.#owned = tables === undefined;
    this.#tables = tables ?? copyOf();
    this.#settings = settings;
  }

  /** This map, so that it can stand where a connection or a cursor can. */
  get adapters(): this {
    return this;
  }

  /** A copy that can be changed without changing this one. Takes constant time. */
  clone(): AdaptersMap {
    return this.cloneFor(this.#settings);
  }

  /** @internal A copy for a session, whose server writes values as `settings` say. */
  cloneFor(settings: SessionSettings): AdaptersMap {
    this.#owned = false;
    return new AdaptersMap(this.#tables, settings);
  }

  /** Makes a type of the server known. See `TypeInfo`, which reads it from the catalogue. */
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
   * Loads values of a type with `load`, which is given the server's text (Psycopg: `register_loader`). What consists of the type
   * follows: its arrays, ranges over it, registered composites with fields of it. The type is an oid or a name, as `int4` or
   * `int4[]`; a name that is not known is a `ProgrammingError`. If `load` throws, its query fails with `DataError`; the
   * connection stays usable.
   *
   * @example
   * adapters.registerLoader('numeric', (text) => new Decimal(text)); // all connections made from now on
   * cur.adapters.registerLoader('int8', Number); // the results of this cursor
   */
  registerLoader(type: string | number, load: (text: string) => unknown): void {
    if (typeof load !== 'function') {
      throw new errors.ProgrammingError(`expected a loader to be a function, got ${typeof load}`);
    }
    this.setLoader(this.#oidOf(type), (bytes, start, end) => load(bytes.utf8Slice(start, end)));
  }

  /** Like `registerLoader()`, for a loader that reads bytes. */
  setLoader(oid: number, loader: Loader): void {
    this.#own().loaders.set(oid, loader);
  }

  /**
   * Reads and writes values of a type with `codec`, also in the binary format if that is among what it does: see `Codec`. What
   * consists of the type follows. What it does not do is done by way of text, as far as the type's binary format is known here. The
   * type is an oid or a name, as for `registerLoader()`, whose loaders of the type it replaces.
   *
   * @example
   * conn.adapters.registerCodec('money', {
   *   readText: (bytes, start, end) => Number(bytes.toString('latin1', start + 1, end).replaceAll(',', '')),
   *   readBinary: (bytes, start) => Number(bytes.readBigInt64BE(start)) / 100,
   * });
   */
  registerCodec<T>(type: string | number, codec: Codec<T>): void {
    const oid = this.#oidOf(type);
    const checked = checkedCodec(codec);
    const known = this.#tables.codecs.get(oid) ?? unknown;
    this.setCodec(oid, (context) => replaced(typeof known === 'function' ? known(context) : known, checked));
  }

  /** @internal Like `registerCodec()`, for a codec of the library's own, or what makes it of those of other types. */
  setCodec(oid: number, codec: CodecSource): void {
    const tables = this.#own();
    tables.codecs.set(oid, codec);
    tables.loaders.delete(oid);
  }

  /**
   * Dumps instances of a class (and of its subclasses), or values of a `typeof`, with `dumper` (Psycopg: `register_dumper`). It
   * returns the text in the server's format, whose type the server then decides; or `{ text, oid }` to say the type; or one of
   * the wrappers, `new Jsonb(…)` for example; or null for NULL. The class `Object` stands for plain objects only. If `dumper`
   * throws or returns something else, a `DataError` says so, and nothing is sent.
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
    if (typeof dumper !== 'function') {
      throw new errors.ProgrammingError(`expected a dumper to be a function, got ${typeof dumper}`);
    }
    this.setDumper(key, checkedDumper(dumper));
  }

  /** @internal Like `registerDumper()`, for a dumper of the library's own. */
  setDumper(key: unknown, dumper: Dumper): void {
    this.#own().dumpers.set(key, dumper);
  }

  /** The loader of a type; what is not registered loads as the server's text. */
  loaderFor(oid: number): Loader {
    return this.codecFor(oid).readText;
  }

  /** @internal How values of a type are read and written. */
  codecFor(oid: number): BoundCodec {
    return this.codecs.codecFor(oid);
  }

  /** @internal All that has been made of the map for its session: another object whenever something is read or written in another way. */
  get codecs(): Codecs {
    const { made } = this.#tables;
    let codecs = made.get(this.#settings);
    if (codecs === undefined) {
      // A map of their own, since this one may be changed.
      codecs = new Codecs(this.#tables, this.#settings, this.clone());
      made.set(this.#settings, codecs);
    }
    return codecs;
  }

  /** The dumper registered for a `typeof`. */
  dumperForType(type: string): Dumper | undefined {
    return this.#tables.dumpers.get(type);
  }

  /** The dumper registered for the class of an object, or for the nearest of its superclasses but `Object`. */
  dumperForObject(value: object): Dumper | undefined {
    const { dumpers } = this.#tables;
    let link = Object.getPrototypeOf(value) as object | null;
    if (link === null || isObjectPrototype(link)) return dumpers.get(Object);
    for (; link !== null && link !== Object.prototype; link = Object.getPrototypeOf(link) as object | null) {
      const dumper = Object.hasOwn(link, 'constructor') ? dumpers.get(link.constructor) : undefined;
      if (dumper !== undefined) return dumper;
      // The built-in classes of another realm are known by nothing but what their instances are.
      if (link !== Object.prototype && isObjectPrototype(link)) return dumpers.get(builtInClass(value));
    }
    return undefined;
  }

  /** The type with this name or oid, if it is known. */
  type(nameOrOid: string | number): TypeEntry | undefined {
    return typeof nameOrOid === 'number'
      ? this.#tables.byOid.get(nameOrOid)
      : this.#tables.byName.get(nameOrOid);
  }

  /** The type whose arrays have this oid, if it is known. */
  elementType(arrayOid: number): TypeEntry | undefined {
    return this.#tables.byArrayOid.get(arrayOid);
  }

  /** @internal The oid of the range type with bounds of this type; 0 if there is none, for the server to decide. */
  rangeOf(subtype: number): number {
    return this.#tables.ranges.get(subtype) ?? Oids.unknown;
  }

  /** @internal The oid of the multirange type with bounds of this type; 0 if there is none, for the server to decide. */
  multirangeOf(subtype: number): number {
    return this.#tables.multiranges.get(subtype) ?? Oids.unknown;
  }

  #oidOf(type: string | number): number {
    if (typeof type === 'number') return type;
    const isArray = type.endsWith('[]');
    const entry = this.#tables.byName.get(isArray ? type.slice(0, -2) : type);
    const oid = isArray ? entry?.arrayOid : entry?.oid;
    if (oid === undefined || oid === 0) {
      throw new errors.ProgrammingError(
        `the type '${type}' is not known here; give its oid, or register the type first`,
      );
    }
    return oid;
  }

  /** The tables to be changed: nothing that has been made of them holds any longer. */
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
