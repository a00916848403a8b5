import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { arrayLoader } from './load-array.js';
import { loadText } from './load-text.js';

export type { Loader };

/** A parameter as it is sent: text in the server's format (null for NULL) and the oid of its type, 0 if the server decides. */
export interface DumpedParam {
  readonly text: string | null;
  readonly oid: number;
}

/** Dumps the values of one class, or of one `typeof`. `place` says which parameter it is, for error messages. */
export type Dumper = (value: never, place: string) => DumpedParam;

/** A type as the server's catalogue has it. */
export interface TypeEntry {
  readonly name: string;
  readonly oid: number;
  /** oid of the array type; 0 if there is none. */
  readonly arrayOid: number;
  /** What separates the elements of an array. */
  readonly delimiter: string;
  /** The name that SQL has for it, where that is another: `integer` for `int4`. */
  readonly sqlName?: string | undefined;
}

type DumperKey = string | (abstract new (...args: never[]) => unknown);

interface Tables {
  readonly loaders: Map<number, Loader>;
  readonly dumpers: Map<unknown, Dumper>;
  readonly byOid: Map<number, TypeEntry>;
  readonly byName: Map<string, TypeEntry>;
  readonly byArrayOid: Map<number, TypeEntry>;
  /** Loaders of arrays, made of their elements' when first asked for. */
  readonly arrayLoaders: Map<number, Loader>;
}

/**
 * How values are sent to the server and loaded from it (Psycopg: `AdaptersMap`). There is a global one, each connection has a
 * copy of it, each cursor one of its connection's: a change applies to copies made later.
 */
export class AdaptersMap {
  #tables: Tables;
  /** Whether the tables are this map's alone; a copy shares them until one of the two is changed. */
  #owned: boolean;

  /** @internal Use `adapters.clone()`. */
  constructor(tables?: Tables) {
    this.#owned = tables === undefined;
    this.#tables = tables ?? {
      loaders: new Map(),
      dumpers: new Map(),
      byOid: new Map(),
      byName: new Map(),
      byArrayOid: new Map(),
      arrayLoaders: new Map(),
    };
  }

  /** A copy that can be changed without changing this one. Takes constant time. */
  clone(): AdaptersMap {
    this.#owned = false;
    return new AdaptersMap(this.#tables);
  }

  /** Makes a type of the server known. */
  registerType(type: TypeEntry): void {
    const { byOid, byName, byArrayOid } = this.#own();
    byOid.set(type.oid, type);
    byName.set(type.name, type);
    if (type.sqlName !== undefined) byName.set(type.sqlName, type);
    if (type.arrayOid !== 0) byArrayOid.set(type.arrayOid, type);
  }

  /**
   * Loads values of a type with `load`, which is given the server's text. Arrays of it follow. The type is an oid or a name, as
   * `int4` or `int4[]`; a name that is not known is a `ProgrammingError`.
   */
  registerLoader(type: string | number, load: (text: string) => unknown): void {
    this.setLoader(this.#oidOf(type), (bytes, start, end) => load(bytes.utf8Slice(start, end)));
  }

  /** Like `registerLoader()`, for a loader that reads bytes. */
  setLoader(oid: number, loader: Loader): void {
    const tables = this.#own();
    tables.loaders.set(oid, loader);
    tables.arrayLoaders.clear();
  }

  /** Dumps instances of a class (and of its subclasses), or values of a `typeof`, with `dumper`. */
  registerDumper(key: DumperKey, dumper: Dumper): void {
    this.#own().dumpers.set(key, dumper);
  }

  /** The loader of a type; what is not registered loads as the server's text. */
  loaderFor(oid: number): Loader {
    const { loaders, arrayLoaders, byArrayOid } = this.#tables;
    const found = loaders.get(oid) ?? arrayLoaders.get(oid);
    if (found !== undefined) return found;
    const element = byArrayOid.get(oid);
    if (element === undefined) return loadText;
    const loader = arrayLoader(this.loaderFor(element.oid), element.delimiter);
    arrayLoaders.set(oid, loader);
    return loader;
  }

  /** The dumper registered for a `typeof`. */
  dumperForType(type: string): Dumper | undefined {
    return this.#tables.dumpers.get(type);
  }

  /** The dumper registered for the class of an object, or for the nearest of its superclasses. */
  dumperForObject(value: object): Dumper | undefined {
    const { dumpers } = this.#tables;
    for (
      let link = Object.getPrototypeOf(value) as object | null;
      link !== null;
      link = Object.getPrototypeOf(link) as object | null
    ) {
      const dumper = Object.hasOwn(link, 'constructor') ? dumpers.get(link.constructor) : undefined;
      if (dumper !== undefined) return dumper;
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
      const { loaders, dumpers, byOid, byName, byArrayOid } = this.#tables;
      this.#tables = {
        loaders: new Map(loaders),
        dumpers: new Map(dumpers),
        byOid: new Map(byOid),
        byName: new Map(byName),
        byArrayOid: new Map(byArrayOid),
        arrayLoaders: new Map(),
      };
      this.#owned = true;
    }
    return this.#tables;
  }
}
