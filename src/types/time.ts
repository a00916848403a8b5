import { fixed, malformed, type Codec } from './codec.js';
import { DAY, offsetText, parseMoment, readInt64, timeText } from './date-text.js';
import { endOfClock, endOfOffset } from './iso-bytes.js';

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

const readText: Codec['readText'] = (bytes, start, end) => bytes.latin1Slice(start, end);

const readTime = fixed('time', 8, (bytes, start) => clockText('time', bytes, start));

/** time, as ISO 8601 text. */
export const time: Codec = {
  readText,
  endOfText: endOfTime,
  readBinary: readTime,
  textToBinary: (text, out, place) => {
    out.int64(parseMoment(text, 'time', place).microseconds);
  },
  binaryToText: readTime,
};

/** The server accepts offsets below 16 hours. The binary format has seconds west of UTC. */
const MOST_OFFSET = 16 * 3600;

const readTimetz = fixed('timetz', 12, (bytes, start) => {
  const west = bytes.readInt32BE(start + 8);
  if (Math.abs(west) >= MOST_OFFSET) throw malformed('timetz', 'its offset is out of range');
  return clockText('timetz', bytes, start) + offsetText(-west);
});

/** timetz, as ISO 8601 text. */
export const timetz: Codec = {
  readText,
  endOfText: (bytes, start, end) => endOfOffset(bytes, endOfTime(bytes, start, end), end),
  readBinary: readTimetz,
  textToBinary: (text, out, place) => {
    const { microseconds, offset } = parseMoment(text, 'timetz', place);
    out.int64(microseconds);
    out.int32(-offset);
  },
  binaryToText: readTimetz,
};
