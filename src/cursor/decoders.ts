import type { AdaptersMap } from '../adapt/adapters-map.js';
import { dictRow, type RowFactory } from '../rows.js';
import type { Field } from '../wire/backend-messages.js';
import {
  BINARY_FORMAT,
  ObjectDecoder,
  TEXT_FORMAT,
  TupleDecoder,
  type Loader,
  type RowDecoder,
  type RowDecoderSource,
  type RowPlan,
} from '../wire/row-decoder.js';

/** Makes decoders for the loaders of an adapters map, one for the columns of a statement however often it is executed. */
class Decoders implements RowDecoderSource {
  readonly #adapters: AdaptersMap;
  readonly #asObjects: boolean;
  readonly #decoders = new WeakMap<readonly Field[], RowDecoder>();
  readonly #plans = new WeakMap<readonly Field[], RowPlan>();

  constructor(adapters: AdaptersMap, asObjects: boolean) {
    this.#adapters = adapters;
    this.#asObjects = asObjects;
  }

  decoderFor(fields: readonly Field[]): RowDecoder {
    let decoder = this.#decoders.get(fields);
    if (decoder === undefined) {
      decoder = this.#make(
        fields,
        fields.map(({ typeOid }) => this.#adapters.loaderFor(typeOid)),
      );
      this.#decoders.set(fields, decoder);
    }
    return decoder;
  }

  planFor(fields: readonly Field[]): RowPlan {
    let plan = this.#plans.get(fields);
    if (plan === undefined) this.#plans.set(fields, (plan = this.#plan(fields)));
    return plan;
  }

  #plan(fields: readonly Field[]): RowPlan {
    const binary = fields.map(({ typeOid }) => this.#adapters.binaryLoaderFor(typeOid));
    if (binary.every((loader) => loader === null)) {
      return { formats: undefined, decoder: this.decoderFor(fields) };
    }
    return {
      formats: binary.map((loader) => (loader === null ? TEXT_FORMAT : BINARY_FORMAT)),
      decoder: this.#make(
        fields,
        binary.map((loader, i) => loader ?? this.#adapters.loaderFor(fields[i]!.typeOid)),
      ),
    };
  }

  #make(fields: readonly Field[], loaders: readonly Loader[]): RowDecoder {
    const names = fields.map(({ name }) => name);
    return (this.#asObjects ? ObjectDecoder.create(names, loaders) : null) ?? new TupleDecoder(loaders);
  }
}

/** For the loaders of all maps that load in the same way. */
const decoders = new WeakMap<object, { readonly tuples: Decoders; readonly objects: Decoders }>();

/** Has rows made as `factory` is going to want them, where that spares making them twice. */
export function rowDecoders(adapters: AdaptersMap, factory: RowFactory<unknown>): RowDecoderSource {
  const { loaders } = adapters;
  let made = decoders.get(loaders);
  if (made === undefined) {
    // Of their own, since loaders may be registered in the other one.
    const own = adapters.clone();
    made = { tuples: new Decoders(own, false), objects: new Decoders(own, true) };
    decoders.set(loaders, made);
  }
  return factory === dictRow ? made.objects : made.tuples;
}

/** Who fetches, and as what: both may change between two fetches. */
interface Fetcher {
  readonly adapters: AdaptersMap;
  readonly rowFactory: RowFactory<unknown>;
}

/** Gives one decoder for all pieces of a result that are fetched one by one, as long as its cursor has the same row factory. */
export class SameDecoder implements RowDecoderSource {
  readonly #cursor: Fetcher;
  #known: {
    readonly fields: readonly Field[];
    readonly factory: unknown;
    readonly decoder: RowDecoder;
  } | null = null;

  constructor(cursor: Fetcher) {
    this.#cursor = cursor;
  }

  decoderFor(fields: readonly Field[]): RowDecoder {
    const { adapters, rowFactory: factory } = this.#cursor;
    const known = this.#known;
    if (known?.factory === factory && areSame(known.fields, fields)) return known.decoder;
    const decoder = rowDecoders(adapters, factory).decoderFor(fields);
    this.#known = { fields, factory, decoder };
    return decoder;
  }
}

function areSame(a: readonly Field[], b: readonly Field[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, typeOid, typmod }, i) => {
      const other = b[i]!;
      return name === other.name && typeOid === other.typeOid && typmod === other.typmod;
    })
  );
}
