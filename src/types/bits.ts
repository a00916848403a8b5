import { malformed, refused, shown, sized, textual } from './codec.js';

const BITS = /^b?([01]*)$/i;

const bits = (type: string) =>
  textual({
    textToBinary: (text, out, place) => {
      const digits = BITS.exec(text)?.[1];
      if (digits === undefined) throw refused(place, `${shown(text)} is not a bit string of 0 and 1`);
      out.int32(digits.length);
      for (let at = 0; at < digits.length; at += 8) {
        out.int8(Number.parseInt(digits.slice(at, at + 8).padEnd(8, '0'), 2));
      }
    },
    // The number of bits, then the bits.
    binaryToText: sized(type, 4, (bytes, start, end) => {
      const count = bytes.readInt32BE(start);
      if (count < 0 || Math.ceil(count / 8) !== end - start - 4) {
        throw malformed(type, 'its length contradicts its number of bits');
      }
      let text = '';
      for (let at = start + 4; at < end; at++) text += bytes[at]!.toString(2).padStart(8, '0');
      return text.slice(0, count);
    }),
  });

/** bit and varbit, as strings of 0 and 1. */
export const bit = bits('bit');
export const varbit = bits('varbit');
