import * as errors from '../errors/index.js';
import type { CodecContext, SessionSettings } from './adaptation.js';
import type { ByteWriter } from './byte-writer.js';
import { daysFromCivil } from './calendar.js';
import { fixed, malformed, refused, shown, type Codec, type Place, type Reader } from './codec.js';
import { infinitySign, outOfRange, parseMoment, zoneMissing, type Moment } from './date-parse.js';
import { endOfStyled, isoStyle } from './date-style.js';
import {
  DAY,
  EPOCH_MILLISECONDS,
  FIRST_MICROSECOND,
  INT64_MAX,
  INT64_MIN,
  LAST_MICROSECOND,
  readInt64,
  timestampText,
} from './date-text.js';
import {
  CLOCK_LENGTH,
  DASH,
  DAY_LENGTH,
  DOT,
  endOfClock,
  endOfOffset,
  isDay,
  isDigit,
  readOffset,
  SPACE,
  ZERO,
} from './iso-bytes.js';
import { isDate } from './realm.js';

const LETTER_C = 0x43;
const LETTER_T = 0x54;
/** `2024-01-02 03:04:05` */
const MOMENT_LENGTH = DAY_LENGTH + 1 + CLOCK_LENGTH;
/** So many days of microseconds are exact as a number. */
const EXACT_DAYS = 100_000;

/** Where the moment ends that begins at `start`; -1 if there is none in the commonest form, `2024-01-02 03:04:05.678`. */
function endOfMoment(bytes: Buffer, start: number, end: number): number {
  const isCommon = end - start >= MOMENT_LENGTH && bytes[start + DAY_LENGTH] === SPACE && isDay(bytes, start);
  return isCommon ? endOfClock(bytes, start + DAY_LENGTH + 1, end, 23) : -1;
}

function binaryText(type: string, zone: string): Reader<string> {
  return fixed(type, 8, (bytes, start) => {
    const text = timestampText(readInt64(bytes, start), zone);
    if (text === null) throw malformed(type, 'it is out of range');
    return text;
  });
}

function writeInfinity(text: string, out: ByteWriter): boolean {
  const infinity = infinitySign(text);
  if (infinity !== 0) out.int64(infinity < 0 ? INT64_MIN : INT64_MAX);
  return infinity !== 0;
}

/** `shownValue` is what an error says of it. */
function writeMoment(
  { days, microseconds, offset }: Moment,
  shownValue: string,
  type: string,
  out: ByteWriter,
  place: Place,
): void {
  const ofDay = microseconds - (offset ?? 0) * 1_000_000;
  if (days < -EXACT_DAYS || days > EXACT_DAYS) {
    const total = BigInt(days) * BigInt(DAY) + BigInt(ofDay);
    if (total < FIRST_MICROSECOND || total > LAST_MICROSECOND) throw outOfRange(shownValue, type, place);
    out.int64(total);
  } else {
    out.int64(days * DAY + ofDay);
  }
}

/** As ISO 8601 has it; what it has no way to write stays as the server writes it. */
function withLetter(text: string): string {
  return text.endsWith('BC') ? text : text.replace(' ', 'T');
}

const timestampToText = binaryText('timestamp', '');

/** timestamp, as ISO 8601 text. */
export const timestamp = ({ settings }: CodecContext): Codec => ({
  readText: (bytes, start, end) => {
    if (!looksCommon(bytes, start, end)) {
      return withLetter(isoStyle(bytes.latin1Slice(start, end), 'timestamp', settings));
    }
    // One text made of the bytes, rather than one put together from two.
    bytes[start + DAY_LENGTH] = LETTER_T;
    const text = bytes.latin1Slice(start, end);
    bytes[start + DAY_LENGTH] = SPACE;
    return text;
  },
  endOfText: (bytes, start, end) => {
    const at = endOfMoment(bytes, start, end);
    // Behind a blank there is BC.
    return at >= 0 && (at === end || bytes[at] !== SPACE)
      ? at
      : endOfStyled(bytes, start, end, 'timestamp', settings);
  },
  readBinary: (bytes, start, end) => withLetter(timestampToText(bytes, start, end)),
  textToBinary: (text, out, place) => {
    if (writeInfinity(text, out)) return;
    // A zone is ignored, as by the server.
    writeMoment(
      { ...parseMoment(text, 'timestamp', place), offset: 0 },
      shown(text),
      'timestamp',
      out,
      place,
    );
  },
  binaryToText: timestampToText,
});

/** Milliseconds from 1970-01-01 of an instant in the commonest form, if it is one; NaN if it has another. */
function readCommonInstant(bytes: Buffer, start: number, end: number): number {
  const days = daysFromCivil(
    pair(bytes, start) * 100 + pair(bytes, start + 2),
    pair(bytes, start + 5),
    pair(bytes, start + 8),
  );
  const seconds = pair(bytes, start + 11) * 3600 + pair(bytes, start + 14) * 60 + pair(bytes, start + 17);
  return (days * 86_400 + seconds) * 1000 + readFractionAndOffset(bytes, start + MOMENT_LENGTH, end);
}

/** The milliseconds that are to be added for `.678901+01:30`; NaN if it is nothing of that kind. */
function readFractionAndOffset(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let milliseconds = 0;
  if (bytes[at] === DOT) {
    at++;
    for (let scale = 100; at < end && isDigit(bytes[at]!); at++) {
      milliseconds += (bytes[at]! - ZERO) * scale;
      scale = scale === 100 ? 10 : scale === 10 ? 1 : 0;
    }
    if (at === start + 1 || at > start + 7) return NaN;
  }
  return milliseconds - readOffset(bytes, at, end) * 1000;
}

/** The number of two digits, which they are if the text is one of the server's. */
function pair(bytes: Buffer, at: number): number {
  return (bytes[at]! - ZERO) * 10 + (bytes[at + 1]! - ZERO);
}

/** Whether a text of the server's is a moment of four digits' years after Christ. */
function looksCommon(bytes: Buffer, start: number, end: number): boolean {
  return bytes[start + 4] === DASH && bytes[start + DAY_LENGTH] === SPACE && bytes[end - 1] !== LETTER_C;
}

/** timestamptz, as a `Date`; microseconds are cut off. What a `Date` can't hold is a `DataError`. */
export const timestamptz = ({ settings }: CodecContext): Codec<Date> => ({
  readText: (bytes, start, end) => {
    // 2024-01-02 03:04:05[.678901]+01[:30[:15]], by far the most frequent form.
    const isCommon = end - start >= MOMENT_LENGTH + 3 && looksCommon(bytes, start, end);
    const time = isCommon ? readCommonInstant(bytes, start, end) : NaN;
    return Number.isNaN(time) ? rareInstant(bytes, start, end, settings) : new Date(time);
  },
  endOfText: (bytes, start, end) => {
    const at = endOfOffset(bytes, endOfMoment(bytes, start, end), end);
    // Behind a blank there is BC.
    return at >= 0 && (at === end || bytes[at] !== SPACE)
      ? at
      : endOfStyled(bytes, start, end, 'timestamptz', settings);
  },
  readBinary: readInstantBinary,
  preferBinary: 'columns',
  followsDateStyle: true,
  takes: isDate,
  writeBinary: (value, out, place) => {
    const milliseconds = value.getTime() - EPOCH_MILLISECONDS;
    if (Number.isNaN(milliseconds)) throw refused(place, 'the Date is invalid');
    const days = Math.floor(milliseconds / 86_400_000);
    const moment = { days, microseconds: (milliseconds - days * 86_400_000) * 1000, offset: 0 };
    writeMoment(moment, 'the Date', 'timestamptz', out, place);
  },
  textToBinary: (text, out, place) => {
    if (writeInfinity(text, out)) return;
    const moment = parseMoment(text, 'timestamptz', place);
    if (moment.offset === null) throw zoneMissing(text, 'timestamptz', place);
    writeMoment(moment, shown(text), 'timestamptz', out, place);
  },
  binaryToText: instantToText,
});

const instantToText = binaryText('timestamptz', '+00');

const readInstantBinary: Reader<Date> = fixed('timestamptz', 8, (bytes, start) => {
  const microseconds = readInt64(bytes, start);
  if (typeof microseconds === 'number') return new Date(Math.floor(microseconds / 1000) + EPOCH_MILLISECONDS);
  const rest = ((microseconds % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((microseconds - rest) / 1000n) + EPOCH_MILLISECONDS);
  // The infinities too are beyond a Date.
  return Number.isNaN(date.getTime()) ? dateOf(instantToText(bytes, start, start + 8)) : date;
});

/** An instant as the server writes it under DateStyle ISO. */
export interface Instant {
  /** From 1970-01-01T00:00:00Z; beyond what a `Date` holds, too. */
  readonly milliseconds: number;
  /** Those that the milliseconds leave over: 0 to 999. */
  readonly microseconds: number;
}

/** Reads an instant that `isoStyle()` has given; null for the infinities. */
export function readInstant(text: string): Instant | null {
  if (infinitySign(text) !== 0) return null;
  const { days, microseconds, offset } = parseMoment(text, 'timestamptz', 'timestamptz');
  const ofDay = microseconds - (offset ?? 0) * 1_000_000;
  return {
    milliseconds: days * 86_400_000 + Math.floor(ofDay / 1000) + EPOCH_MILLISECONDS,
    microseconds: ((ofDay % 1000) + 1000) % 1000,
  };
}

function rareInstant(bytes: Buffer, start: number, end: number, settings: SessionSettings): Date {
  return dateOf(isoStyle(bytes.latin1Slice(start, end), 'timestamptz', settings));
}

/** An instant of a form that is rare. */
function dateOf(text: string): Date {
  const date = new Date(readInstant(text)?.milliseconds ?? NaN);
  if (Number.isNaN(date.getTime())) {
    throw new errors.DataError(
      `the timestamptz '${text}' can't be held by a Date; cast it to text to see it`,
    );
  }
  return date;
}
