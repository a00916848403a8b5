import type { CodecContext } from './adaptation.js';
import { fixed, malformed, shown, type Codec } from './codec.js';
import { endOfDated, isoStyle } from './date-style.js';
import {
  dateText,
  FIRST_DAY,
  infinitySign,
  INT32_MAX,
  INT32_MIN,
  LAST_DAY,
  outOfRange,
  parseMoment,
} from './date-text.js';
import { DASH, DAY_LENGTH, isDay } from './iso-bytes.js';

const readBinary = fixed('date', 4, (bytes, start) => {
  const days = bytes.readInt32BE(start);
  if (days === INT32_MAX) return 'infinity';
  if (days === INT32_MIN) return '-infinity';
  if (days < FIRST_DAY || days > LAST_DAY) throw malformed('date', 'it is out of range');
  const { text, bc } = dateText(days);
  return bc ? `${text} BC` : text;
});

/** date, as ISO 8601 text. Years BC and the infinities keep the server's form, so that the server can read them again. */
export const date = ({ settings }: CodecContext): Codec => ({
  readText: (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    return bytes[start + 4] === DASH ? text : isoStyle(text, 'date', settings);
  },
  endOfText: (bytes, start, end) => {
    const at = start + DAY_LENGTH;
    const isIso = at <= end && isDay(bytes, start);
    return endOfDated(isIso ? at : -1, bytes, start, end, 'date', settings);
  },
  readBinary,
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
  binaryToText: readBinary,
});
