import type {
  Adapters,
  CodecContext,
  CodecSource,
  Dumper,
  SessionSettings,
  TypeEntry,
} from './adaptation.js';
import { arrayOf } from './array.js';
import { refused, unreadable, withLoader, type BoundCodec, type Codec, type ValueWriter } from './codec.js';
import { DEFINITIONS } from './definitions.js';
import { unknown } from './text.js';
import type { Loader } from '../wire/row-decoder.js';
import { dumpAs } from './dump.js';
import { NativeValues } from './native-values.js';

/** Loads the values of types without a registration of their own from the server's text. */
export type DefaultLoader = (text: string, oid: number) => unknown;

/** The tables of an adapters map, which only the map changes. */
export interface Tables {
  readonly codecs: Map<number, CodecSource>;
  /** Loaders registered by users, which receive text. */
  readonly loaders: Map<number, Loader>;
  /** The loader, registered by the user, of all types that are not registered by users. */
  defaultLoader: DefaultLoader | null;
  readonly dumpers: Map<unknown, Dumper>;
  readonly byOid: Map<number, TypeEntry>;
  readonly byName: Map<string, TypeEntry>;
  readonly byArrayOid: Map<number, TypeEntry>;
  /** The oids of range types by the oid of their bounds' type. */
  readonly ranges: Map<number, number>;
  readonly multiranges: Map<number, number>;
  /** The codecs built from these tables, by the settings of a session. */
  made: WeakMap<SessionSettings, Codecs>;
}

const BUILT_IN: ReadonlyMap<number, CodecSource> = new Map(DEFINITIONS.map(({ oid, codec }) => [oid, codec]));

/** @internal The codecs of an adapters map for the settings of one session. Each codec is built at its first use. */
export class Codecs implements CodecContext {
  readonly settings: SessionSettings;
  readonly adapters: Adapters;
  readonly #tables: Readonly<Tables>;
  readonly #codecs = new Map<number, BoundCodec>();
  #native: NativeValues | null = null;

  /** `adapters` has the same tables and does not change. */
  constructor(tables: Readonly<Tables>, settings: SessionSettings, adapters: Adapters) {
    this.#tables = tables;
    this.settings = settings;
    this.adapters = adapters;
  }

  /** Tells which values have the library's own dumper. */
  get native(): NativeValues {
    return (this.#native ??= new NativeValues(this.adapters));
  }

  /** Whether the server reports DateStyle ISO. */
  get writesIsoDates(): boolean {
    return this.settings.get('DateStyle')?.startsWith('ISO') === true;
  }

  readonly codecFor = (oid: number): BoundCodec => {
    const found = this.#codecs.get(oid);
    if (found !== undefined) return found;
    // No type of the server contains itself. This entry ends the recursion for a type that was registered so by mistake: its
    // inner values are text.
    this.#codecs.set(oid, unknown);
    const codec = this.#bound(oid, this.#codecOf(oid));
    this.#codecs.set(oid, codec);
    return codec;
  };

  #codecOf(oid: number): Codec {
    const { codecs, byArrayOid, byOid } = this.#tables;
    const source = codecs.get(oid);
    if (source !== undefined) return typeof source === 'function' ? source(this) : source;
    const element = byArrayOid.get(oid);
    if (element !== undefined) return arrayOf(this.codecFor(element.oid), element, this);
    const base = byOid.get(oid)?.baseOid;
    return base === undefined ? unknown : this.codecFor(base);
  }

  /** Combines the codec with the loader registered by the user, and with a writer for all dumpable values. */
  #bound(oid: number, codec: Codec): BoundCodec {
    const loader = this.#tables.loaders.get(oid) ?? this.#defaultLoader(oid);
    const read: BoundCodec = loader === undefined ? codec : withLoader(codec, loader);
    const { endOfText, readText } = read;
    return {
      ...read,
      ...(endOfText && {
        readCheckedText: (bytes, start, end) => {
          if (endOfText(bytes, start, end) !== end) {
            throw unreadable(this.adapters.type(oid)?.name ?? String(oid), bytes, start, end);
          }
          return readText(bytes, start, end);
        },
      }),
      write:
        codec.writeBinary === undefined && codec.textToBinary === undefined
          ? undefined
          : this.#writer(oid, codec),
    };
  }

  #defaultLoader(oid: number): Loader | undefined {
    const load = this.#tables.defaultLoader;
    if (load === null || this.#isRegistered(oid)) return undefined;
    return (bytes, start, end) => load(bytes.utf8Slice(start, end), oid);
  }

  /** Whether a user has registered a loader or a codec for the type, or for the type that it consists of. */
  #isRegistered(oid: number): boolean {
    const { codecs, loaders, byArrayOid, byOid } = this.#tables;
    if (loaders.has(oid)) return true;
    const codec = codecs.get(oid);
    if (codec !== undefined && codec !== BUILT_IN.get(oid)) return true;
    const { baseOid, rangeOf, multirangeOf } = byOid.get(oid) ?? {};
    const part = byArrayOid.get(oid)?.oid ?? baseOid ?? rangeOf ?? multirangeOf;
    return part !== undefined && part !== oid && this.#isRegistered(part);
  }

  /** Writes values that the codec takes by the codec, and other values by converting their dumper's text to the binary format. */
  #writer(oid: number, codec: Codec): ValueWriter {
    const { adapters, native } = this;
    const { textToBinary } = codec;
    const takes = codec.writeBinary === undefined ? undefined : codec.takes;
    // A codec that writes text, too, takes its values whatever dumper queries use for them.
    const ownsValues = codec.writeText !== undefined;
    const stringsAreText = !ownsValues && native.string;
    return (value, out, place, named) => {
      if (value === null) return false;
      if (takes?.(value) === true && (ownsValues || native.leaves(value))) {
        codec.writeBinary!(value, out, place);
        return true;
      }
      if (textToBinary !== undefined && stringsAreText && typeof value === 'string') {
        textToBinary(value, out, place);
        return true;
      }
      const { text } = dumpAs(value, oid, adapters, place.toString(), named);
      if (text === null) return false;
      if (textToBinary === undefined) {
        const type = adapters.type(oid)?.name ?? `with the oid ${String(oid)}`;
        throw refused(
          place,
          `the codec of the type ${type} does not write text in the binary format, and does not take this value`,
        );
      }
      textToBinary(text, out, place);
      return true;
    };
  }
}
