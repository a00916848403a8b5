import * as errors from '../errors/index.js';

/** A piece of a format string: text, or a field to be replaced by a positional or a named value. */
export type FormatPiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly field: number | string };

/** Matches the text up to the next brace and the brace itself: a doubled brace, a field, or a single brace. */
const PIECE = /([^{}]*)(?:(\{\{|\}\})|\{([^{}]*)\}|([{}])|$)/gy;

/**
 * Parses a format string with `{}`, `{0}` and `{name}` by the rules of Python's `str.format()`, without conversions and format
 * specifications. Raises `ProgrammingError` for a string that breaks the rules.
 */
export function parseFormat(text: string): readonly FormatPiece[] {
  const pieces: FormatPiece[] = [];
  let pending = '';
  let numbered: 'automatic' | 'manual' | null = null;
  let next = 0;
  for (const [, before = '', doubled, field, alone] of text.matchAll(PIECE)) {
    pending += before + (doubled?.[0] ?? '');
    if (alone !== undefined) {
      throw new errors.ProgrammingError(
        `a single '${alone}' in the text of format(); to write a brace, double it: '${alone}${alone}'`,
      );
    }
    if (field === undefined) continue;
    if (/[!:]/.test(field)) {
      throw new errors.ProgrammingError(
        `the field {${field}}: sql.SQL() knows no conversions (!) and no format specifications (:)`,
      );
    }
    if (pending !== '') pieces.push({ kind: 'text', text: pending });
    pending = '';
    const numbering = field === '' ? 'automatic' : /^\d+$/.test(field) ? 'manual' : null;
    if (numbering !== null && numbered !== null && numbering !== numbered) {
      throw new errors.ProgrammingError(
        `the field {${field}}: fields numbered automatically ({}) and by hand ({0}) can't be mixed`,
      );
    }
    numbered = numbering ?? numbered;
    pieces.push({
      kind: 'field',
      field: numbering === null ? field : numbering === 'automatic' ? next++ : Number(field),
    });
  }
  if (pending !== '') pieces.push({ kind: 'text', text: pending });
  return pieces;
}
