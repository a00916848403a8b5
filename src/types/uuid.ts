import { writeHex } from './bytea.js';
import { fixed, notOfType, refused, shown, type Codec } from './codec.js';

const UUID = /^\s*(\{)?([0-9a-f]{4}(?:-?[0-9a-f]{4}){7})(\})?\s*$/i;
/** As the server writes it. */
const WRITTEN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const readBinary = fixed('uuid', 16, (bytes, start) => {
  const digits = bytes.hexSlice(start, start + 16);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
});

/** uuid, as its text. */
export const uuid: Codec = {
  readText: (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    if (!WRITTEN.test(text)) throw notOfType('uuid', text);
    return text;
  },
  readBinary,
  textToBinary: (text, out, place) => {
    const refuse = (): Error => refused(place, `${shown(text)} is not a uuid`);
    const match = UUID.exec(text);
    if (match === null || (match[1] === undefined) !== (match[3] === undefined)) throw refuse();
    writeHex(match[2]!.replaceAll('-', ''), out, refuse);
  },
  binaryToText: readBinary,
};
