import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { ByteWriter } from './byte-writer.js';

/** Reads one value from `bytes[start..end)`: a `Loader` that tells what it gives. */
export type Reader<T> = (bytes: Buffer, start: number, end: number) => T;

/**
 * Which value an error is about: `$2`, or `row 1, column 3`. Its text is made when there is an error only.
 */
export interface Place {
  toString(): string;
}

/** Appends a value in the binary format, without its length; `place` says which one it is. */
type Writer<T> = { write(value: T, out: ByteWriter, place: Place): void }['write'];

/**
 * How the values of one type are read and written, in the text and in the binary format (pgx: `Codec`). Queries, COPY and what
 * consists of the type (arrays, ranges, composites) use the same one. Only `readText` is needed: what else is missing is done by way of
 * text, or refused where the binary format is asked for.
 *
 * A reader is given the bytes of one value, `bytes[start..end)`. It reads nothing outside of them, copies what it keeps, and raises
 * `DataError` for bytes that are no value of its type. A writer raises `DataError` for what the type can't hold.
 */
export interface Codec<T = unknown> {
  /** Reads the server's text. */
  readonly readText: Loader;
  /**
   * Where the text of a value ends that begins at `start`, of a type whose `readText` does not look; another number if there is none. It
   * is asked where the server does not vouch for the type: in a COPY, whose types users name, and in a composite, which may have
   * been altered. What follows the text may be anything that no text of the type goes on with. @internal
   */
  readonly endOfText?: Reader<number> | undefined;
  /** Reads the binary format: gives what `readText` gives of the same value. */
  readonly readBinary?: Loader | undefined;
  /**
   * Whether the results of prepared statements are asked for in the binary format: columns of the type and of arrays of it, or arrays
   * only. It has to be less work, and to give the same whatever the session's settings are.
   */
  readonly preferBinary?: 'columns' | 'arrays' | undefined;
  /** Whether the text depends on `DateStyle`: then the binary format is asked for under ISO only, so that both load the same. */
  readonly followsDateStyle?: boolean | undefined;
  /**
   * Whether `writeText` and `writeBinary` take a value, where its type is known: in a COPY whose columns have types, in a composite's
   * field. Other values go as the text that the dumper of their class gives.
   */
  takes?: ((value: unknown) => boolean) | undefined;
  /** Writes a value as the server's text; null for NULL. */
  writeText?(value: T, place: string): string | null;
  /** Appends a value in the binary format, without its length. */
  writeBinary?: Writer<T> | undefined;
  /** Appends the binary format of a value given as text, in the form in which the server writes it; for values that have a dumper. */
  textToBinary?: ((text: string, out: ByteWriter, place: Place) => void) | undefined;
  /** The text that the server would write, for a loader of text that a user has registered. */
  binaryToText?: Reader<string> | undefined;
}

/**
 * Appends a value in the binary format; false for NULL, of which nothing is written. Unless the type has been `named` (by
 * `setTypes()`), a string is text of the type, also where the type has strings among its values, as JSON has.
 */
export type ValueWriter = (value: unknown, out: ByteWriter, place: Place, named: boolean) => boolean;

/** Appends a value with its length before it, -1 for NULL; false for NULL. */
export function writeSized(
  write: ValueWriter,
  value: unknown,
  out: ByteWriter,
  place: Place,
  named: boolean,
): boolean {
  const start = out.length;
  out.int32(-1);
  const isThere = write(value, out, place, named);
  if (isThere) out.setInt32(start, out.length - start - 4);
  return isThere;
}

/** A codec as it is in use: with the loaders and dumpers that users have registered, which are given text. */
export interface BoundCodec extends Codec {
  /** Writes any value that can be sent; there is none if the type has no binary format here. */
  readonly write?: ValueWriter | undefined;
  /** Reads text that may be of another type, if that is not what `readText` does. */
  readonly readCheckedText?: Loader | undefined;
}

/** Reads a type whose values have `size` bytes in the binary format. */
export function fixed<T>(type: string, size: number, read: (bytes: Buffer, start: number) => T): Reader<T> {
  return (bytes, start, end) => {
    if (end - start !== size) throw wrongSize(type, start, end);
    return read(bytes, start);
  };
}

/** Reads a type whose values have at least `size` bytes in the binary format. */
export function sized<T>(type: string, size: number, read: Reader<T>): Reader<T> {
  return (bytes, start, end) => {
    if (end - start < size) throw wrongSize(type, start, end);
    return read(bytes, start, end);
  };
}

/**
 * The codec of a type whose values load as the server's text, which has no blanks: what is written of it and read again is the same.
 */
export function textual({
  textToBinary,
  binaryToText,
}: {
  readonly textToBinary: NonNullable<Codec['textToBinary']>;
  readonly binaryToText: Reader<string>;
}): Codec {
  return {
    // ASCII, as is all that the server writes of these types.
    readText: (bytes, start, end) => bytes.latin1Slice(start, end),
    endOfText: (bytes, start, end) => {
      let at = start;
      while (at < end && bytes[at]! > SPACE) at++;
      const text = bytes.latin1Slice(start, at);
      if (scratch.bytes.length > LARGEST_KEPT) scratch = new ByteWriter();
      scratch.length = 0;
      try {
        textToBinary(text, scratch, 'text');
      } catch {
        return -1;
      }
      return binaryToText(scratch.bytes, 0, scratch.length) === text ? at : -1;
    },
    readBinary: binaryToText,
    textToBinary,
    binaryToText,
  };
}

const SPACE = 0x20;
/** What texts are written to that are only looked at. */
let scratch = new ByteWriter();
const LARGEST_KEPT = 65_536;

/**
 * The codec of a type whose values consist of others: what `make` makes of their codecs, and the ways between its text and its binary
 * format, by a value that has texts for its parts. `textOf` gives the text of such a value.
 */
export function compound<V>(
  parts: readonly BoundCodec[],
  make: (parts: readonly BoundCodec[]) => Codec<V>,
  textOf: (value: V) => string,
): Codec<V> & BoundCodec {
  const { readText, readBinary, writeBinary } = make(parts.map(withTexts));
  const checkedParts = parts.map((part) => ({ ...part, readText: checkedReader(part) }));
  return {
    ...make(parts),
    readCheckedText: make(checkedParts).readText,
    textToBinary:
      writeBinary &&
      ((text, out, place) => {
        const bytes = Buffer.from(text);
        let value: unknown;
        try {
          value = readText(bytes, 0, bytes.length);
        } catch (error) {
          throw refused(place, (error as Error).message);
        }
        writeBinary(value as V, out, place);
      }),
    binaryToText: readBinary && ((bytes, start, end) => textOf(readBinary(bytes, start, end) as V)),
  };
}

/** What reads text that may be of another type. */
export function checkedReader({ readText, readCheckedText }: BoundCodec): Loader {
  return readCheckedText ?? readText;
}

/** The codec whose values are the texts of those of another. */
function withTexts({ textToBinary, binaryToText }: BoundCodec): BoundCodec {
  return {
    readText: (bytes, start, end) => bytes.utf8Slice(start, end),
    readBinary: binaryToText,
    write:
      textToBinary &&
      ((value, out, place) => {
        if (value !== null) textToBinary(value as string, out, place);
        return value !== null;
      }),
  };
}

/** A codec that reads by a loader of text, also what comes in the binary format. */
export function withLoader(codec: Codec, loader: Loader): BoundCodec {
  const { binaryToText } = codec;
  return {
    ...codec,
    readText: loader,
    endOfText: undefined,
    readCheckedText: undefined,
    readBinary:
      binaryToText &&
      ((bytes, start, end) => {
        const text = Buffer.from(binaryToText(bytes, start, end));
        return loader(text, 0, text.length);
      }),
    preferBinary: undefined,
  };
}

/** The error of a binary value whose length is not that of its type. */
export function wrongSize(type: string, start: number, end: number): errors.DataError {
  const size = end - start;
  return new errors.DataError(
    `a value of ${String(size)} byte${size === 1 ? '' : 's'} is not of type ${type}`,
  );
}

/** The error of a binary value that contradicts itself. */
export function malformed(type: string, problem: string): errors.DataError {
  return new errors.DataError(`a binary value is not of type ${type}: ${problem}`);
}

/** The error of a text that is no value of its type. */
export function notOfType(type: string, text: string): errors.DataError {
  return new errors.DataError(`${shown(text)} is not of type ${type}`);
}

/** As `notOfType()`, for the bytes of the text. */
export function unreadable(type: string, bytes: Buffer, start: number, end: number): errors.DataError {
  // A character takes four bytes at most.
  return notOfType(type, bytes.utf8Slice(start, Math.min(end, start + 4 * LONGEST_SHOWN)));
}

/** The error of a value that can't be written. */
export function refused(place: Place, problem: string): errors.DataError {
  return new errors.DataError(`${place.toString()}: ${problem}`);
}

const LONGEST_SHOWN = 60;

/** A value's text as an error message shows it. */
export function shown(text: string): string {
  return `'${text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN - 1)}…`}'`;
}
