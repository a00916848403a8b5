/** From a code point to another, both included. */
type Span = readonly [first: number, last: number];

const ASCII = /^[\x20-\x7e]*$/;
/** What RFC 4013 maps to a space, and what it drops (RFC 3454, tables C.1.2 and B.1). */
const SPACES: readonly Span[] = [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200b],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];
const DROPPED: readonly Span[] = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x1806, 0x1806],
  [0x180b, 0x180d],
  [0x200c, 0x200d],
  [0x2060, 0x2060],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
];
/** What it does not allow: tables C.2 to C.9, the rest of which are controls, private use, surrogates and what is not assigned. */
const PROHIBITED: readonly Span[] = [
  [0x340, 0x341],
  [0x6dd, 0x6dd],
  [0x70f, 0x70f],
  [0x180e, 0x180e],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2061, 0x2063],
  [0x206a, 0x206f],
  [0x2ff0, 0x2ffb],
  [0xfff9, 0xfffd],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe0001],
  [0xe0020, 0xe007f],
];
const UNUSABLE = /[\p{Cc}\p{Co}\p{Cs}\p{Cn}]/u;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const LEFT_TO_RIGHT =
  /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Devanagari}\p{Script=Thai}]/u;

/**
 * A password as SCRAM wants it (RFC 4013), so that the same characters are the same password however they were typed. As in
 * PostgreSQL, one that may not be prepared is used as it is.
 */
export function saslprep(password: string): string {
  if (ASCII.test(password)) return password;
  const mapped = Array.from(password, (character) => {
    if (isIn(SPACES, character)) return ' ';
    return isIn(DROPPED, character) ? '' : character;
  });
  const prepared = mapped.join('').normalize('NFKC');
  return isAllowed(prepared) ? prepared : password;
}

function isAllowed(prepared: string): boolean {
  const characters = Array.from(prepared);
  if (characters.length === 0 || UNUSABLE.test(prepared)) return false;
  if (characters.some((character) => isIn(PROHIBITED, character))) return false;
  if (!RIGHT_TO_LEFT.test(prepared)) return true;
  // Text from right to left has to begin and end so, and to have nothing in the other direction.
  return (
    !LEFT_TO_RIGHT.test(prepared) &&
    RIGHT_TO_LEFT.test(characters[0]!) &&
    RIGHT_TO_LEFT.test(characters.at(-1)!)
  );
}

function isIn(spans: readonly Span[], character: string): boolean {
  const code = character.codePointAt(0)!;
  return spans.some(([first, last]) => code >= first && code <= last);
}
