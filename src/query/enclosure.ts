/** What a piece of SQL has begun and not ended: within it, text is no SQL until something ends it. */
export type Enclosure =
  | { readonly kind: 'string'; readonly escapes: boolean }
  | { readonly kind: 'quoted identifier' }
  | { readonly kind: 'comment'; readonly depth: number }
  | { readonly kind: 'line comment' }
  | { readonly kind: 'dollar-quoted string'; readonly tag: string };

/** What a text without any of this can neither begin nor end. */
const ANY = /['"$]|--|\/\*/;
/** A prefix counts only where it is not the end of a word. */
const OPENING =
  /--|\/\*|"|(?<![\w$\x80-\uffff])[eE]'|'|(?<![\w$\x80-\uffff])\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$/g;
const ENDINGS = {
  string: /'/g,
  escapes: /\\[^]|''|'/g,
  'quoted identifier': /"/g,
  comment: /\/\*|\*\//g,
  'line comment': /[\n\r]/g,
};

/**
 * What is open at the end of `text`, if `open` was at its begin; null for nothing. `backslashes`: strings without an E have
 * escapes as well, as with `standard_conforming_strings` off.
 */
export function openAfter(text: string, open: Enclosure | null, backslashes: boolean): Enclosure | null {
  if (open === null && !ANY.test(text)) return null;
  let state = open;
  let at = 0;
  while (at < text.length) {
    if (state?.kind === 'dollar-quoted string') {
      const end = text.indexOf(state.tag, at);
      if (end < 0) return state;
      at = end + state.tag.length;
      state = null;
      continue;
    }
    const pattern =
      state === null ? OPENING : ENDINGS[state.kind === 'string' && state.escapes ? 'escapes' : state.kind];
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return state;
    at = pattern.lastIndex;
    state = state === null ? opened(match[0], backslashes) : afterEnding(match[0], state);
  }
  return state;
}

/** Whether `spliced` could end what is open where it stands, so that what follows would be SQL. */
export function wouldEnd(open: Enclosure, spliced: string): boolean {
  switch (open.kind) {
    case 'string':
      return /['\\]/.test(spliced);
    case 'quoted identifier':
      return spliced.includes('"');
    case 'comment':
      return /[*/]/.test(spliced);
    case 'line comment':
      return /[\n\r]/.test(spliced);
    case 'dollar-quoted string':
      return spliced.includes(open.tag);
  }
}

function opened(opening: string, backslashes: boolean): Enclosure {
  switch (opening) {
    case '--':
      return { kind: 'line comment' };
    case '/*':
      return { kind: 'comment', depth: 1 };
    case '"':
      return { kind: 'quoted identifier' };
    default:
      if (opening.startsWith('$')) return { kind: 'dollar-quoted string', tag: opening };
      return { kind: 'string', escapes: backslashes || opening !== "'" };
  }
}

function afterEnding(ending: string, state: Enclosure): Enclosure | null {
  if (state.kind === 'comment') {
    const depth = state.depth + (ending === '/*' ? 1 : -1);
    return depth === 0 ? null : { kind: 'comment', depth };
  }
  return ending.startsWith('\\') || ending === "''" ? state : null;
}
