import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import type { ByteWriter } from './byte-writer.js';

/** A `Loader` whose result type is known: reads one value from `bytes[start..end)`. */
export type Reader<T> = (bytes: Buffer, start: number, end: number) => T;

/** Names the value that an error is about: `$2`, or `row 1, column 3`. The text is built only for an error. */
export interface Place {
  /** The name of the value, for a message. */
  toString(): string;
}

/** Appends a value in the binary format, without its length; `place` names the value in errors. */
type Writer<T> = { write(value: T, out: ByteWriter, place: Place): void }['write'];

/**
 * Reads and writes the values of one type in the text and the binary format (pgx: `Codec`). Queries, COPY, arrays, ranges and
 * composites share it. Only `readText` is required. Other missing functions are replaced by conversions from or to text, or an
 * error is raised where the binary format is required.
 *
 * A reader receives the bytes of one value, `bytes[start..end)`. It must not read outside of them, must copy what it keeps, and
 * raises `DataError` for bytes that are no value of the type. A writer raises `DataError` for a value that the type cannot hold.
 */
export interface Codec<T = unknown> {
  /** Reads the server's text. */
  readonly readText: Loader;
  /**
   * Returns the end of the valid text of a value that begins at `start`; another number if the text is invalid. For types whose
   * `readText` does not check. It is called where the server does not guarantee the type: in a COPY, whose types the user names,
   * and in a composite, whose type may have been altered. The following text may be anything with which no text of the type could
   * continue. @internal
   */
  readonly endOfText?: Reader<number> | undefined;
  /** Reads the binary format. The result equals that of `readText` for the same value. */
  readonly readBinary?: Loader | undefined;
  /**
   * Whether prepared statements request results in the binary format: for columns of the type and its arrays, or for its arrays
   * only. The binary format must be cheaper and must give the same values under all settings of the session.
   */
  readonly preferBinary?: 'columns' | 'arrays' | undefined;
  /**
   * Whether the text depends on `DateStyle`. The binary format is then requested under ISO only, so that both formats load the
   * same.
   */
  readonly followsDateStyle?: boolean | undefined;
  /**
   * Whether `writeText` and `writeBinary` accept a value. It is called where the type is known: in a COPY with column types, and
   * in a composite's field. Other values are written as the text from the dumper of their class.
   */
  takes?: ((value: unknown) => boolean) | undefined;
  /** Writes a value as text for the server; null for NULL. */
  writeText?(value: T, place: string): string | null;
  /** Appends a value in the binary format, without its length. */
  writeBinary?: Writer<T> | undefined;
  /** Appends the binary format of a value given as text in the server's form; for values that have a dumper. */
  textToBinary?: ((text: string, out: ByteWriter, place: Place) => void) | undefined;
  /** The text that the server would write for a binary value; for text loaders registered by users. */
  binaryToText?: Reader<string> | undefined;
}

/** The conversions of a codec between the text and the binary format. */
export type BinaryFormat = {
  readonly [K in 'textToBinary' | 'binaryToText']: NonNullable<Codec[K]>;
};

/**
 * Appends a value in the binary format. Returns false for NULL, which writes nothing. Unless `setTypes()` has `named` the type, a
 * string is text of the type, even for a type such as JSON whose values include strings.
 */
export type ValueWriter = (value: unknown, out: ByteWriter, place: Place, named: boolean) => boolean;

/** Appends a value preceded by its length, which is -1 for NULL. Returns false for NULL. */
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

/** A codec in use, combined with the loaders and dumpers that users have registered, which work on text. */
export interface BoundCodec extends Codec {
  /** Writes any value that can be sent; undefined if the library does not know the type's binary format. */
  readonly write?: ValueWriter | undefined;
  /** Reads text that may be of another type, if `readText` does not check. */
  readonly readCheckedText?: Loader | undefined;
}

/** Makes a reader for a type whose binary format has exactly `size` bytes. */
export function fixed<T>(type: string, size: number, read: (bytes: Buffer, start: number) => T): Reader<T> {
  return (bytes, start, end) => {
    if (end - start !== size) throw wrongSize(type, start, end);
    return read(bytes, start);
  };
}

/** Makes a reader for a type whose binary format has at least `size` bytes. */
export function sized<T>(type: string, size: number, read: Reader<T>): Reader<T> {
  return (bytes, start, end) => {
    if (end - start < size) throw wrongSize(type, start, end);
    return read(bytes, start, end);
  };
}

/**
 * Makes the codec of a compound type: `make` builds it from its parts' codecs. The conversions between its text and its binary
 * format use a value whose parts are texts; `textOf` returns that value's text.
 */
export function compound<V>(
  parts: readonly BoundCodec[],
  make: (...parts: readonly BoundCodec[]) => Codec<V>,
  textOf: (value: V) => string,
): Codec<V> & BoundCodec {
  const { readText, readBinary, writeBinary } = make(...parts.map(withTexts));
  const checkedParts = parts.map((part) => ({ ...part, readText: checkedReader(part) }));
  return {
    ...make(...parts),
    readCheckedText: make(...checkedParts).readText,
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

/** The reader for text that may be of another type. */
export function checkedReader({ readText, readCheckedText }: BoundCodec): Loader {
  return readCheckedText ?? readText;
}

/** A codec whose values are the texts of another codec's values. */
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

/** Combines a codec with a text loader, which then also loads binary results, by way of text. */
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

/** The error for a binary value of the wrong length. */
export function wrongSize(type: string, start: number, end: number): errors.DataError {
  const size = end - start;
  return new errors.DataError(
    `a value of ${String(size)} byte${size === 1 ? '' : 's'} is not of type ${type}`,
  );
}

/** The error for a binary value that contradicts itself. */
export function malformed(type: string, problem: string): errors.DataError {
  return new errors.DataError(`a binary value is not of type ${type}: ${problem}`);
}

/** The error for a text that is no value of its type. */
export function notOfType(type: string, text: string): errors.DataError {
  return new errors.DataError(`${shown(text)} is not of type ${type}`);
}

/** Like `notOfType()`, for the bytes of the text. */
export function unreadable(type: string, bytes: Buffer, start: number, end: number): errors.DataError {
  // A UTF-8 character takes at most four bytes.
  return notOfType(type, bytes.utf8Slice(start, Math.min(end, start + 4 * LONGEST_SHOWN)));
}

/** The error for the text of a compound value with a wrong structure. */
export function malformedText(kind: string, bytes: Buffer, start: number, end: number): errors.DataError {
  return new errors.DataError(
    `the ${kind} ${bytes.utf8Slice(start, Math.min(end, start + LONGEST_SHOWN))} is malformed`,
  );
}

/** The error for a value that cannot be written. */
export function refused(place: Place, problem: string): errors.DataError {
  return new errors.DataError(`${place.toString()}: ${problem}`);
}

/** The error for a value outside of its type's range. */
export function outOfRange(value: string, type: string, place: Place): errors.DataError {
  return refused(place, `${value} is out of range for ${type}`);
}

const LONGEST_SHOWN = 60;

/** Shortens a value's text for an error message. */
export function shortened(text: string): string {
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN - 1)}…`;
}

/** A value's text in quotes, for an error message. */
export function shown(text: string): string {
  return `'${shortened(text)}'`;
}
