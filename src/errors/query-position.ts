/** The most columns of the query that are shown, and how far a cut on the right stays from the position where that is possible. */
const MOST_COLUMNS = 60;
const RIGHT_MARGIN = 10;

/**
 * Shows where in a query an error is, exactly as libpq and psql do: the line of the query, cut on both sides if it is long, and below it
 * a caret. `position` counts characters from 1. Empty for a position that the query does not have.
 */
export function showPosition(query: string, position: number): string {
  const line = lineAt(query, position - 1);
  if (line === null) return '';
  const { characters, columns, at } = line;
  let first = 0;
  let end = characters.length;
  const width = (): number => columns[end]! - columns[first]!;
  if (width() > MOST_COLUMNS) {
    if (MOST_COLUMNS >= columns[at]! + RIGHT_MARGIN) {
      while (width() > MOST_COLUMNS) end--;
    } else {
      while (columns[at]! + RIGHT_MARGIN < columns[end]!) end--;
      while (width() > MOST_COLUMNS) first++;
    }
  }
  const before = `LINE ${String(line.number)}: ${first > 0 ? '...' : ''}`;
  const shown = characters.slice(first, end).join('');
  const behind = end < characters.length ? '...' : '';
  return `${before}${shown}${behind}\n${' '.repeat(before.length + columns[at]! - columns[first]!)}^`;
}

/** One line of a query. */
interface Line {
  /** From 1. */
  readonly number: number;
  readonly characters: readonly string[];
  /** The column in which each character begins, and behind them the one after the last. */
  readonly columns: readonly number[];
  /** The index of the character that was looked for. */
  readonly at: number;
}

/** The line of the character at `index`; null if there is none. */
function lineAt(query: string, index: number): Line | null {
  if (!(index >= 0)) return null;
  let number = 1;
  let characters: string[] = [];
  let columns: number[] = [];
  let column = 0;
  let start = 0;
  let count = 0;
  let previous = '';
  for (const character of query) {
    if (character === '\n' || character === '\r') {
      if (count >= index) break;
      // A line break of two characters is one.
      if (character === '\r' || previous !== '\r') number++;
      characters = [];
      columns = [];
      column = 0;
      start = count + 1;
    } else {
      characters.push(character === '\t' ? ' ' : character);
      columns.push(column);
      column += isWide(character) ? 2 : 1;
    }
    previous = character;
    count++;
  }
  columns.push(column);
  return index <= count ? { number, characters, columns, at: index - start } : null;
}

/** East Asian characters, and emoji: what a terminal shows in two columns. As to libpq, all others take one, combining marks too. */
let wide: RegExp | undefined;

function isWide(character: string): boolean {
  // A pattern with classes of characters takes long to create.
  wide ??=
    /(?![\p{Mn}\p{Cn}])(?:[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18d08}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|(?![\u{1f1e6}-\u{1f1ff}])\p{Emoji_Presentation})/u;
  return character >= '\u1100' && wide.test(character);
}
