import type { BoundCodec, Codec } from './codec.js';

/** A parameter as it is sent: text in the server's format (null for NULL) and the oid of its type, 0 if the server decides. */
export interface DumpedParam {
  /** The value in the server's text format; null for NULL. */
  readonly text: string | null;
  /** oid of its type; 0 if the server decides. */
  readonly oid: number;
}

/**
 * Dumps the values of one class, or of one `typeof`. `place` says which parameter it is, for error messages; `adapters` are those to
 * dump with what the value consists of.
 */
export type Dumper = (value: never, place: string, adapters: Adapters) => DumpedParam;

/** The settings that the server of a session reports, such as `DateStyle`, as they are at the moment. */
export type SessionSettings = ReadonlyMap<string, string>;

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
}

/** What a dumper may ask for: an `AdaptersMap`, without what changes it. */
export interface Adapters {
  /** The type with this name or oid, if it is known. */
  type(nameOrOid: string | number): TypeEntry | undefined;
  /** The type whose arrays have this oid, if it is known. */
  elementType(arrayOid: number): TypeEntry | undefined;
  /** The dumper registered for a `typeof`. */
  dumperForType(type: string): Dumper | undefined;
  /** The dumper registered for the class of an object, or for the nearest of its superclasses but `Object`. */
  dumperForObject(value: object): Dumper | undefined;
  /** @internal The oid of the range type with bounds of this type; 0 if there is none, for the server to decide. */
  rangeOf(subtype: number): number;
  /** @internal The oid of the multirange type with bounds of this type; 0 if there is none, for the server to decide. */
  multirangeOf(subtype: number): number;
  /** @internal How values of a type are read and written. */
  codecFor(oid: number): BoundCodec;
}

/** What the codec of a type that consists of others, or whose text depends on the session's settings, is made of. */
export interface CodecContext {
  /** Gives the codec of another type. */
  readonly codecFor: (oid: number) => BoundCodec;
  /** The settings that the server reports, as they are at the moment. */
  readonly settings: SessionSettings;
  /** What dumps the values of each class. */
  readonly adapters: Adapters;
}

/** A codec, or what makes it. */
export type CodecSource = Codec | ((context: CodecContext) => Codec);
