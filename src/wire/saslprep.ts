/**
 * Prepares a password for SCRAM (RFC 4013), so that different encodings of the same characters match. As in PostgreSQL, a
 * password with prohibited characters is used unchanged.
 */
export function saslprep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const prepared = password
    // Mapped to a space, then mapped to nothing (RFC 3454, tables C.1.2 and B.1).
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, ' ')
    .replace(/[\u034f\u180b-\u180d\ufe00-\ufe0f\u00ad\u1806\u200c-\u200d\u2060\ufeff]/gu, '')
    .normalize('NFKC');
  return isAllowed(prepared) ? prepared : password;
}

function isAllowed(prepared: string): boolean {
  if (prepared === '' || /[\p{Cc}\p{Co}\p{Cs}\p{Cn}]/u.test(prepared)) return false;
  // Tables C.2 to C.9; of these, controls, private use, surrogates and unassigned code points are tested by their Unicode
  // categories.
  const prohibited =
    /[\u0340-\u0341\u06dd\u070f\u180e\u200e-\u200f\u2028-\u202e\u2061-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;
  if (prohibited.test(prepared)) return false;
  const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
  if (!rightToLeft.test(prepared)) return true;
  const leftToRight =
    /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Devanagari}\p{Script=Thai}]/u;
  // Right-to-left text must begin and end with right-to-left characters and contain no left-to-right ones.
  const characters = Array.from(prepared);
  return (
    !leftToRight.test(prepared) && rightToLeft.test(characters[0]!) && rightToLeft.test(characters.at(-1)!)
  );
}
