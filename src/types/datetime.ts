import { COLON, DOT, MINUS, SPACE, ZERO } from './ascii.js';
import * as errors from '../errors/index.js';
import type { CodecContext } from './adaptation.js';
import type { ByteWriter } from './byte-writer.js';
import { daysFromCivil, isCivil } from './calendar.js';
import { fixed, malformed, outOfRange, refused, shown, wrongSize } from './codec.js';
import type { Codec, Place, Reader } from './codec.js';
import { endOfDated, isoStyle } from './date-style.js';
import {
  dateText,
  DAY,
  EPOCH_MILLISECONDS,
  FIRST_DAY,
  FIRST_MICROSECOND,
  infinitySign,
  INT32_MAX,
  INT32_MIN,
  INT64_MAX,
  INT64_MIN,
  isoMoment,
  LAST_DAY,
  LAST_MICROSECOND,
  offsetText,
  parseMoment,
  readInt64,
  timestampText,
  timeText,
  type Moment,
} from './date-text.js';
import {
  CLOCK_LENGTH,
  DAY_LENGTH,
  endOfClock,
  endOfOffset,
  isDay,
  isDigit,
  readOffset,
  two,
} from './iso-bytes.js';
import { isDate } from './realm.js';
import { textual } from './textual.js';

// --- date

const readDate = fixed('date', 4, (bytes, start) => {
  const days = bytes.readInt32BE(start);
  if (days === INT32_MAX) return 'infinity';
  if (days === INT32_MIN) return '-infinity';
  if (days < FIRST_DAY || days > LAST_DAY) throw malformed('date', 'it is out of range');
  return dateText(days);
});

/** date, as ISO 8601 text. Years BC and the infinities keep the server's form, so that the server can read them again. */
export const date = ({ settings }: CodecContext): Codec => ({
  readText: (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    return bytes[start + 4] === MINUS ? text : isoStyle(text, 'date', settings);
  },
  endOfText: (bytes, start, end) => {
    const at = start + DAY_LENGTH;
    const isIso = at <= end && isDay(bytes, start);
    return endOfDated(isIso ? at : -1, bytes, start, end, 'date', settings);
  },
  readBinary: readDate,
  textToBinary: (text, out, place) => {
    const infinity = infinitySign(text);
    if (infinity !== 0) {
      out.int32(infinity < 0 ? INT32_MIN : INT32_MAX);
      return;
    }
    const { days } = parseMoment(text, 'date', place);
    if (days < FIRST_DAY || days > LAST_DAY) throw outOfRange(shown(text), 'date', place);
    out.int32(days);
  },
  binaryToText: readDate,
});

// --- time, timetz

function clockText(type: string, bytes: Buffer, start: number): string {
  const microseconds = readInt64(bytes, start);
  if (microseconds < 0 || microseconds > DAY) throw malformed(type, 'it is out of range');
  return timeText(Number(microseconds));
}

const MIDNIGHT = '24:00:00';

function endOfTime(bytes: Buffer, start: number, end: number): number {
  const at = endOfClock(bytes, start, end);
  if (at >= 0) return at;
  const last = start + MIDNIGHT.length;
  return last <= end && bytes.latin1Slice(start, last) === MIDNIGHT ? last : -1;
}

const readTime = fixed('time', 8, (bytes, start) => clockText('time', bytes, start));

/** time, as ISO 8601 text. */
export const time = textual({
  endOfText: endOfTime,
  textToBinary: (text, out, place) => {
    out.int64(parseMoment(text, 'time', place).microseconds);
  },
  binaryToText: readTime,
});

/** The server accepts offsets below 16 hours. The binary format has seconds west of UTC. */
const MOST_OFFSET = 16 * 3600;

const readTimetz = fixed('timetz', 12, (bytes, start) => {
  const west = bytes.readInt32BE(start + 8);
  if (Math.abs(west) >= MOST_OFFSET) throw malformed('timetz', 'its offset is out of range');
  return clockText('timetz', bytes, start) + offsetText(-west);
});

/** timetz, as ISO 8601 text. */
export const timetz = textual({
  endOfText: (bytes, start, end) => endOfOffset(bytes, endOfTime(bytes, start, end), end),
  textToBinary: (text, out, place) => {
    const { microseconds, offset } = parseMoment(text, 'timetz', place);
    out.int64(microseconds);
    out.int32(-offset);
  },
  binaryToText: readTimetz,
});

// --- timestamp, timestamptz

const LETTER_C = 0x43;
const LETTER_T = 0x54;
/** `2024-01-02 03:04:05` */
const MOMENT_LENGTH = DAY_LENGTH + 1 + CLOCK_LENGTH;

/** The end of the moment that begins at `start`, in the most frequent form `2024-01-02 03:04:05.678`; -1 for another form. */
function endOfMoment(bytes: Buffer, start: number, end: number): number {
  const clock = start + DAY_LENGTH + 1;
  return clock < end && isDay(bytes, start) && bytes[clock - 1] === SPACE
    ? endOfClock(bytes, clock, end)
    : -1;
}

function binaryText(type: string, zone: string): Reader<string> {
  return fixed(type, 8, (bytes, start) => {
    const text = timestampText(readInt64(bytes, start), zone);
    if (text === null) throw malformed(type, 'it is out of range');
    return text;
  });
}

/** Writes a moment. `shownValue` represents it in error messages. */
function writeMoment(
  { days, microseconds, offset }: Moment,
  shownValue: string,
  type: string,
  out: ByteWriter,
  place: Place,
): void {
  const ofDay = microseconds - offset * 1_000_000;
  let total: number | bigint = days * DAY + ofDay;
  if (!Number.isSafeInteger(total)) {
    total = BigInt(days) * BigInt(DAY) + BigInt(ofDay);
    if (total < FIRST_MICROSECOND || total > LAST_MICROSECOND) throw outOfRange(shownValue, type, place);
  }
  out.int64(total);
}

function textWriter(type: 'timestamp' | 'timestamptz'): NonNullable<Codec['textToBinary']> {
  return (text, out, place) => {
    const infinity = infinitySign(text);
    if (infinity !== 0) out.int64(infinity < 0 ? INT64_MIN : INT64_MAX);
    else writeMoment(parseMoment(text, type, place), shown(text), type, out, place);
  };
}

/** Converts to ISO 8601; text that ISO 8601 cannot express keeps the server's form. */
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
    // Changing the byte in place avoids concatenating two strings.
    bytes[start + DAY_LENGTH] = LETTER_T;
    const text = bytes.latin1Slice(start, end);
    bytes[start + DAY_LENGTH] = SPACE;
    return text;
  },
  endOfText: (bytes, start, end) =>
    endOfDated(endOfMoment(bytes, start, end), bytes, start, end, 'timestamp', settings),
  readBinary: (bytes, start, end) => withLetter(timestampToText(bytes, start, end)),
  textToBinary: textWriter('timestamp'),
  binaryToText: timestampToText,
});

/**
 * Milliseconds from 1970-01-01 of an instant in the most frequent form by far, 2024-01-02 03:04:05[.678901]+01[:30[:15]]; NaN for
 * another text.
 */
function readCommonInstant(bytes: Buffer, start: number, end: number): number {
  const year = two(bytes, start) * 100 + two(bytes, start + 2);
  const month = two(bytes, start + 5);
  const day = two(bytes, start + 8);
  const hours = two(bytes, start + 11);
  const minutes = two(bytes, start + 14);
  const seconds = two(bytes, start + 17);
  const isCommon =
    end - start >= MOMENT_LENGTH + 3 &&
    year >= 1 &&
    year <= 9999 &&
    bytes[start + 4] === MINUS &&
    bytes[start + 7] === MINUS &&
    isCivil(year, month, day) &&
    bytes[start + DAY_LENGTH] === SPACE &&
    hours <= 23 &&
    bytes[start + 13] === COLON &&
    minutes <= 59 &&
    bytes[start + 16] === COLON &&
    seconds <= 59;
  if (!isCommon) return NaN;
  const ofDay = hours * 3600 + minutes * 60 + seconds;
  const days = daysFromCivil(year, month, day);
  return (days * 86_400 + ofDay) * 1000 + readFractionAndOffset(bytes, start + MOMENT_LENGTH, end);
}

/** The milliseconds to add for `.678901+01:30`; NaN for malformed text. */
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

/** Whether a text from the server is a moment with a four-digit year AD. */
export function looksCommon(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start >= MOMENT_LENGTH &&
    bytes[start + 4] === MINUS &&
    bytes[start + DAY_LENGTH] === SPACE &&
    bytes[end - 1] !== LETTER_C
  );
}

/** timestamptz, as a `Date`; microseconds are truncated. A value outside of a `Date`'s range raises `DataError`. */
export const timestamptz = ({ settings }: CodecContext): Codec<Date> => ({
  readText: (bytes, start, end) => {
    const time = readCommonInstant(bytes, start, end);
    return Number.isNaN(time)
      ? dateOf(isoStyle(bytes.latin1Slice(start, end), 'timestamptz', settings))
      : new Date(time);
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
  textToBinary: textWriter('timestamptz'),
  binaryToText: instantToText,
});

const instantToText = binaryText('timestamptz', '+00');

const readInstantBinary: Reader<Date> = (bytes, start, end) => {
  // The most frequent of these types does without the call that fixed() adds.
  if (end - start !== 8) throw wrongSize('timestamptz', start, end);
  const microseconds = readInt64(bytes, start);
  if (typeof microseconds === 'number') return new Date(Math.floor(microseconds / 1000) + EPOCH_MILLISECONDS);
  const rest = ((microseconds % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((microseconds - rest) / 1000n) + EPOCH_MILLISECONDS);
  // An invalid Date includes the infinities, too.
  return Number.isNaN(date.getTime()) ? dateOf(instantToText(bytes, start, start + 8)) : date;
};

/** Loads an instant in a rare form, from its text under DateStyle ISO. */
function dateOf(text: string): Date {
  const { days, microseconds, offset } = isoMoment(text, 'timestamptz') ?? INFINITE;
  const ofDay = Math.floor(microseconds / 1000) - offset * 1000;
  const date = new Date(days * 86_400_000 + ofDay + EPOCH_MILLISECONDS);
  if (Number.isNaN(date.getTime())) {
    throw new errors.DataError(
      `the timestamptz '${text}' can't be held by a Date; cast it to text to see it`,
    );
  }
  return date;
}

const INFINITE: Moment = { days: Infinity, microseconds: 0, offset: 0 };
