import type { AdaptersMap } from './adapters-map.js';
import type { Codecs } from './codecs.js';
import * as errors from '../errors/index.js';
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

/** Makes row decoders from the codecs of an adapters map; one decoder serves all executions of a statement. */
class Decoders implements RowDecoderSource {
  readonly #codecs: Codecs;
  readonly #asObjects: boolean;
  readonly #decoders = new WeakMap<readonly Field[], RowDecoder>();
  /** The plans under DateStyle ISO, and the others. */
  readonly #isoPlans = new WeakMap<readonly Field[], RowPlan>();
  readonly #plans = new WeakMap<readonly Field[], RowPlan>();

  constructor(codecs: Codecs, asObjects: boolean) {
    this.#codecs = codecs;
    this.#asObjects = asObjects;
  }

  decoderFor(fields: readonly Field[]): RowDecoder {
    let decoder = this.#decoders.get(fields);
    if (decoder === undefined) {
      const loaders = fields.map(({ typeOid, format }) => this.#loaderFor(typeOid, format === BINARY_FORMAT));
      decoder = this.#make(fields, loaders);
      this.#decoders.set(fields, decoder);
    }
    return decoder;
  }

  planFor(fields: readonly Field[]): RowPlan {
    const isIso = this.#codecs.writesIsoDates;
    const plans = isIso ? this.#isoPlans : this.#plans;
    let plan = plans.get(fields);
    if (plan === undefined) plans.set(fields, (plan = this.#plan(fields, isIso)));
    return plan;
  }

  #plan(fields: readonly Field[], isIso: boolean): RowPlan {
    const binary = fields.map(({ typeOid }) => {
      const { preferBinary, followsDateStyle } = this.#codecs.codecFor(typeOid);
      return preferBinary === 'columns' && (isIso || followsDateStyle !== true);
    });
    if (!binary.includes(true)) return { formats: undefined, decoder: this.decoderFor(fields) };
    const loaders = fields.map(({ typeOid }, i) => this.#loaderFor(typeOid, binary[i]!));
    return {
      formats: binary.map((isBinary) => (isBinary ? BINARY_FORMAT : TEXT_FORMAT)),
      decoder: this.#make(fields, loaders),
    };
  }

  #loaderFor(oid: number, binary: boolean): Loader {
    const { readText, readBinary } = this.#codecs.codecFor(oid);
    return binary ? (readBinary ?? refuseBinary) : readText;
  }

  #make(fields: readonly Field[], loaders: readonly Loader[]): RowDecoder {
    const names = fields.map(({ name }) => name);
    return (this.#asObjects ? ObjectDecoder.create(names, loaders) : null) ?? new TupleDecoder(loaders);
  }
}

const refuseBinary: Loader = () => {
  throw new errors.NotSupportedError(
    "the cursor sends its rows in the binary format, in which a column's type can't be read here: declare it without BINARY",
  );
};

/** The decoders by their codecs, which maps with equal adapters share. */
const decoders = new WeakMap<Codecs, { readonly tuples: Decoders; readonly objects: Decoders }>();

/** Chooses decoders that make rows in the form that `factory` needs, which saves a conversion. */
export function rowDecoders(adapters: AdaptersMap, factory: RowFactory<unknown>): RowDecoderSource {
  const { codecs } = adapters;
  let made = decoders.get(codecs);
  if (made === undefined) {
    made = { tuples: new Decoders(codecs, false), objects: new Decoders(codecs, true) };
    decoders.set(codecs, made);
  }
  return factory === dictRow ? made.objects : made.tuples;
}

/** The row factory of a cursor, which may change between two fetches. */
interface Fetcher {
  readonly rowFactory: RowFactory<unknown>;
}

/** Keeps one decoder for all pieces of a result fetched piecewise, until the cursor's row factory changes. */
export class SameDecoder implements RowDecoderSource {
  readonly #adapters: AdaptersMap;
  readonly #cursor: Fetcher;
  #known: {
    readonly fields: readonly Field[];
    readonly factory: unknown;
    readonly decoder: RowDecoder;
  } | null = null;

  constructor(adapters: AdaptersMap, cursor: Fetcher) {
    this.#adapters = adapters;
    this.#cursor = cursor;
  }

  decoderFor(fields: readonly Field[]): RowDecoder {
    const { rowFactory: factory } = this.#cursor;
    const known = this.#known;
    if (known?.factory === factory && areSame(known.fields, fields)) return known.decoder;
    const decoder = rowDecoders(this.#adapters, factory).decoderFor(fields);
    this.#known = { fields, factory, decoder };
    return decoder;
  }
}

function areSame(a: readonly Field[], b: readonly Field[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, typeOid, typmod, format }, i) => {
      const other = b[i]!;
      return (
        name === other.name && typeOid === other.typeOid && typmod === other.typmod && format === other.format
      );
    })
  );
}
