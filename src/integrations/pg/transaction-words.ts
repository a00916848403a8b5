const BEGIN = /(?:begin|start\s{1,100}transaction)\b/iy;
const COMMIT = /(?:commit(?!\s{1,100}prepared\b)|end)\b/iy;

/** Whether a text begins or commits a transaction, by its first word; comments before it are skipped. */
export function transactionWordOf(text: string): 'begin' | 'commit' | null {
  const start = skipBlank(text, 0);
  if (startsWith(BEGIN, text, start)) return 'begin';
  return startsWith(COMMIT, text, start) ? 'commit' : null;
}

function startsWith(words: RegExp, text: string, start: number): boolean {
  words.lastIndex = start;
  return words.test(text);
}

/** Skips white space and comments. */
function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    while (at < text.length && text.charCodeAt(at) <= 32) at++;
    if (text.startsWith('--', at)) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end + 1;
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2);
      at = end < 0 ? text.length : end + 2;
    } else {
      return at;
    }
  }
}
