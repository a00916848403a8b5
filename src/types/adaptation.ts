import type { BoundCodec, Codec } from './codec.js';

/** A parameter in the form in which it is sent. */
export interface DumpedParam {
  /** The value in the server's text format; null for NULL. */
  readonly text: string | null;
  /** @internal The value in the server's binary format, which a query sends in place of the text. */
  readonly bytes?: Uint8Array | undefined;
  /** The oid of its type; 0 lets the server infer the type. */
  readonly oid: number;
}

/**
 * Dumps the values of a class or of a `typeof`. `place` names the parameter in error messages. `adapters` dump the elements of a
 * compound value.
 */
export type Dumper = (value: never, place: string, adapters: Adapters) => DumpedParam;

/** The settings that the session's server reports, such as `DateStyle`; the map always has the current values. */
export type SessionSettings = ReadonlyMap<string, string>;

/** A type of the server's catalogue. */
export interface TypeEntry {
  /** The catalogue's name: `int4`. */
  readonly name: string;
  /** The type's oid. */
  readonly oid: number;
  /** The array type's oid; 0 if there is none. */
  readonly arrayOid: number;
  /** The separator of array elements. */
  readonly delimiter: string;
  /** SQL's name where it differs from the catalogue's: `integer` for `int4`. */
  readonly sqlName?: string | undefined;
  /** For a domain: the oid of its base type, resolved until it is no domain. */
  readonly baseOid?: number | undefined;
  /** For a range type: the oid of the type of its bounds. */
  readonly rangeOf?: number | undefined;
  /** For a multirange type: the oid of the type of its ranges' bounds. */
  readonly multirangeOf?: number | undefined;
}

/** The read-only part of an `AdaptersMap`, which dumpers receive. */
export interface Adapters {
  /** Returns the type with this name or oid, or undefined for an unknown type. */
  type(nameOrOid: string | number): TypeEntry | undefined;
  /** Returns the element type of the array type with this oid, or undefined for an unknown type. */
  elementType(arrayOid: number): TypeEntry | undefined;
  /** Returns the dumper registered for a `typeof`. */
  dumperForType(type: string): Dumper | undefined;
  /** Returns the dumper registered for the object's class or for its nearest superclass except `Object`. */
  dumperForObject(value: object): Dumper | undefined;
  /** @internal The oid of the range type over this subtype; 0 if there is none, which lets the server infer the type. */
  rangeOf(subtype: number): number;
  /** @internal The oid of the multirange type over this subtype; 0 if there is none, which lets the server infer the type. */
  multirangeOf(subtype: number): number;
  /** @internal The codec of a type. */
  codecFor(oid: number): BoundCodec;
}

/** What a codec needs that depends on other types or on the session's settings. */
export interface CodecContext {
  /** Returns the codec of another type. */
  readonly codecFor: (oid: number) => BoundCodec;
  /** The settings that the session's server reports; the map always has the current values. */
  readonly settings: SessionSettings;
  /** The dumpers for values by their class. */
  readonly adapters: Adapters;
}

/** A codec, or a function that makes one for a session. */
export type CodecSource = Codec | ((context: CodecContext) => Codec);
