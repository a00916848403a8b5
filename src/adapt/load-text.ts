import type { Loader } from '../wire/row-decoder.js';

/** Text, and every type that has no loader: the server's text. */
export const loadText: Loader = (bytes, start, end) => bytes.utf8Slice(start, end);

/** Types whose text is ASCII, such as numeric and uuid. */
export const loadAscii: Loader = (bytes, start, end) => bytes.latin1Slice(start, end);

/** bool. */
export const loadBoolean: Loader = (bytes, start) => bytes[start] === 0x74;

/** json and jsonb. */
export const loadJson: Loader = (bytes, start, end) => JSON.parse(bytes.utf8Slice(start, end)) as unknown;

const BACKSLASH = 0x5c;
const LETTER_X = 0x78;

/** bytea, in either of the formats that `bytea_output` chooses. */
export const loadBytes: Loader = (bytes, start, end) => {
  if (bytes[start] === BACKSLASH && bytes[start + 1] === LETTER_X) {
    return Buffer.from(bytes.latin1Slice(start + 2, end), 'hex');
  }
  const loaded = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== BACKSLASH) {
      loaded[length++] = bytes[at]!;
    } else if (bytes[at + 1] === BACKSLASH) {
      loaded[length++] = BACKSLASH;
      at++;
    } else {
      loaded[length++] = Number.parseInt(bytes.latin1Slice(at + 1, at + 4), 8);
      at += 3;
    }
  }
  return loaded.subarray(0, length);
};
