import { copyOptions } from './statement-options.js';

/**
 * Why rows can't be encoded or decoded for this statement, as far as it can be made out; null if they can. What would be read or
 * stored as something else without a word is refused.
 */
export function whyNotRows(statement: string): string | null {
  const options = copyOptions(statement);
  if (options === null) return null;
  const way = 'use write() and read(), or copy in the text or the binary format with its defaults';
  if (options.get('format')?.toLowerCase() === 'csv') {
    return `rows can't be written to or read from a COPY in csv: ${way}`;
  }
  const delimiter = options.get('delimiter');
  if (delimiter !== undefined && delimiter !== '\t' && delimiter !== '\\t') {
    return `rows can't be written to or read from a COPY with a delimiter of its own: ${way}`;
  }
  const none = options.get('null');
  if (none !== undefined && none !== '\\N') {
    return `rows can't be written to or read from a COPY with a NULL of its own: ${way}`;
  }
  const encoding = options.get('encoding');
  if (encoding !== undefined && !/^utf_?-?8$/i.test(encoding)) {
    return `rows can't be written to or read from a COPY with an encoding of its own: ${way}`;
  }
  return null;
}

const OFF: ReadonlySet<string> = new Set(['false', 'off', '0']);

/** Why the columns of a COPY … TO can't be loaded as types; null if they can. */
export function whyNotTypes(statement: string): string | null {
  const header = copyOptions(statement)?.get('header');
  if (header === undefined || OFF.has(header.toLowerCase())) return null;
  return "the header of the COPY can't be loaded as values of the columns' types: copy without HEADER to use setTypes()";
}
