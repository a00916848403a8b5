import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { checkedDumper, type CustomDumper } from './custom-dumper.js';
import { BINARY_FORMATS, binaryArrayLoader, type BinaryFormat } from './load-binary.js';
import { arrayLoader } from './load-array.js';
import { loadText } from './load-text.js';
import { Oids } from './oids.js';
import { builtInClass, isObjectPrototype } from './realm.js';

export type { Loader };

/** A parameter as it is sent: text in the server's format (null for NULL) and the oid of its type, 0 if the server decides. */
export interface DumpedParam {
  /** The value in the server's text format; null for NULL. */
  readonly text: string | null;
  /** oid of its type; 0 if the server decides. */
  readonly oid: number;
}

/**
 * Dumps the values of one class, or of one `typeof`. `place` says which parameter it is, for error messages; `map` is the one to
 * dump with what the value consists of.
 */
export type Dumper = (value: never, place: string, map: AdaptersMap) => DumpedParam;

/** The settings that the server of a session reports, such as `DateStyle`, as they are at the moment. */
export type SessionSettings = ReadonlyMap<string, string>;

/**
 * Makes the loader of a type that consists of others, whose loaders it is given, or whose text depends on settings of the
 * session.
 */
export type LoaderMaker = (loaderFor: (oid: number) => Loader, settings: SessionSettings) => Loader;

/** What has adapters of its own: a connection, a cursor, or an adapters map itself (Psycopg: `AdaptContext`). */
export interface AdaptContext {
  /** How it sends values and loads them. */
  readonly adapters: AdaptersMap;
}

/** A type as the server's catalogue has it. */
export interface TypeEntry {
  /** The name that the catalogue has for it: `int4`. */
  readonly name: string;
  /** oid of the type. */
  readonly oid: number;
  /** oid of the array type; 0 if there is none. */
  readonly arrayOid: number;
  /** What separates the elements of an array. */
  readonly delimiter: string;
  /** The name that SQL has for it, where that is another: `integer` for `int4`. */
  readonly sqlName?: string | undefined;
  /** Of a domain: oid of the type that it restricts, which is no domain itself. */
  readonly baseOid?: number | undefined;
  /** Of a range type: oid of its bounds' type. */
  readonly rangeOf?: number | undefined;
  /** Of a multirange type: oid of the type of its ranges' bounds. */
  readonly multirangeOf?: number | undefined;
  /** Whether it is an enum, whose values are their labels in the binary format, too. */
  readonly isEnum?: boolean | undefined;
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

interface Tables {
  readonly loaders: Map<number, Loader>;
  readonly makers: Map<number, LoaderMaker>;
  readonly dumpers: Map<unknown, Dumper>;
  readonly plainObjectDumpers: Map<number, Dumper>;
  readonly byOid: Map<number, TypeEntry>;
  readonly byName: Map<string, TypeEntry>;
  readonly byArrayOid: Map<number, TypeEntry>;
  /** Range types by their bounds' type. */
  readonly ranges: Map<number, number>;
  readonly multiranges: Map<number, number>;
  /** What the makers have made when first asked for, for the settings of each session. */
  made: WeakMap<SessionSettings, Map<number, Loader>>;
}

const NO_SETTINGS: SessionSettings = new Map();

function emptyTables(): Tables {
  return {
    loaders: new Map(),
    makers: new Map(),
    dumpers: new Map(),
    plainObjectDumpers: new Map(),
    byOid: new Map(),
    byName: new Map(),
    byArrayOid: new Map(),
    ranges: new Map(),
    multiranges: new Map(),
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
export class AdaptersMap {
  #tables: Tables;
  /** Whether the tables are this map's alone; a copy shares them until one of the two is changed. */
  #owned: boolean;
  readonly #settings: SessionSettings;

  /** @internal Use `adapters.clone()`. */
  constructor(tables?: Tables, settings = NO_SETTINGS) {
    this.#owned = tables === undefined;
    this.#tables = tables ?? emptyTables();
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
    const tables = this.#own();
    tables.made = new WeakMap();
    const { byOid, byName, byArrayOid, ranges, multiranges } = tables;
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
    const tables = this.#own();
    tables.loaders.set(oid, loader);
    tables.makers.delete(oid);
    tables.made = new WeakMap();
  }

  /** @internal Has the loader of a type made of the loaders that the map has for the types it consists of. */
  setLoaderMaker(oid: number, maker: LoaderMaker): void {
    const tables = this.#own();
    tables.makers.set(oid, maker);
    tables.loaders.delete(oid);
    tables.made = new WeakMap();
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

  /** @internal Dumps plain objects where the type is known to be this one: in a field of a composite. */
  setPlainObjectDumper(oid: number, dumper: Dumper): void {
    this.#own().plainObjectDumpers.set(oid, dumper);
  }

  /** @internal What dumps plain objects as this type, or as the one that it restricts if it is a domain. */
  plainObjectDumper(oid: number): Dumper | undefined {
    const { plainObjectDumpers, byOid } = this.#tables;
    return plainObjectDumpers.get(byOid.get(oid)?.baseOid ?? oid);
  }

  /** The loader of a type; what is not registered loads as the server's text. */
  loaderFor(oid: number): Loader {
    const tables = this.#tables;
    const made = this.#made;
    const found = tables.loaders.get(oid) ?? made.get(oid);
    if (found !== undefined) return found;
    const maker = tables.makers.get(oid);
    const element = tables.byArrayOid.get(oid);
    const base = tables.byOid.get(oid)?.baseOid;
    if (maker === undefined && element === undefined && base === undefined) return loadText;
    // No type of the server contains itself. One that was registered so by mistake is text within itself.
    made.set(oid, loadText);
    const loader =
      maker !== undefined
        ? maker((part) => this.loaderFor(part), this.#settings)
        : element !== undefined
          ? arrayLoader(this.loaderFor(element.oid), element.delimiter)
          : this.loaderFor(base!);
    made.set(oid, loader);
    return loader;
  }

  /**
   * @internal The loader of the values of a column in the binary format; null where they are to be asked for as text: since that
   * is as well, or since a loader has been registered, which is given the text.
   */
  binaryLoaderFor(oid: number): Loader | null {
    const format = this.#binaryFormat(oid);
    if (format !== null) return format.forColumns ? format.load : null;
    const tables = this.#tables;
    const element = tables.byArrayOid.get(oid);
    if (element === undefined || tables.loaders.has(oid) || tables.makers.has(oid)) return null;
    const ofElements = this.#binaryFormat(element.oid);
    return ofElements === null ? null : binaryArrayLoader(ofElements.load);
  }

  #binaryFormat(oid: number): BinaryFormat | null {
    const format = BINARY_FORMATS.get(oid);
    const { loaders, makers } = this.#tables;
    return format !== undefined && format.text === (loaders.get(oid) ?? makers.get(oid)) ? format : null;
  }

  /** @internal An object that is another one whenever something loads in another way. */
  get loaders(): object {
    return this.#made;
  }

  get #made(): Map<number, Loader> {
    const { made } = this.#tables;
    let own = made.get(this.#settings);
    if (own === undefined) made.set(this.#settings, (own = new Map<number, Loader>()));
    return own;
  }

  /** @internal Whether the type itself loads in another way than with `other`, leaving aside what it consists of. */
  loadsOtherwise(oid: number, other: AdaptersMap): boolean {
    const own = this.#tables;
    const others = other.#tables;
    return own.loaders.get(oid) !== others.loaders.get(oid) || own.makers.get(oid) !== others.makers.get(oid);
  }

  /** @internal Whether the type loads as something else than the server's text. */
  hasLoader(oid: number): boolean {
    return this.loaderFor(oid) !== loadText;
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

  #own(): Tables {
    if (!this.#owned) {
      const { loaders, makers, dumpers, plainObjectDumpers, byOid, byName, byArrayOid, ranges, multiranges } =
        this.#tables;
      this.#tables = {
        loaders: new Map(loaders),
        makers: new Map(makers),
        dumpers: new Map(dumpers),
        plainObjectDumpers: new Map(plainObjectDumpers),
        byOid: new Map(byOid),
        byName: new Map(byName),
        byArrayOid: new Map(byArrayOid),
        ranges: new Map(ranges),
        multiranges: new Map(multiranges),
        made: new WeakMap(),
      };
      this.#owned = true;
    }
    return this.#tables;
  }
}
