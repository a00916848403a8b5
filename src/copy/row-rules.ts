import type { CopyOptions } from './statement-options.js';

const UTF8 = /^utf_?-?8$/i;

/**
 * Why rows can't be encoded or decoded for a COPY with these options, if they could be made out; null if they can. What would be read or
 * stored as something else without a word is refused.
 */
export function whyNotRows(options: CopyOptions | null): string | null {
  if (options === null) return null;
  const way = 'use write() and read(), or copy in the text or the binary format with its defaults';
  const format = options.get('format')?.toLowerCase() ?? 'text';
  if (format !== 'text') {
    return `rows can't be written to or read from a COPY in ${format === 'csv' ? 'csv' : 'this format'}: ${way}`;
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
  if (encoding !== undefined && !UTF8.test(encoding)) {
    return `rows can't be written to or read from a COPY with an encoding of its own: ${way}`;
  }
  return null;
}

const OFF: ReadonlySet<string> = new Set(['false', 'off', '0']);

/** Why the columns of a COPY … TO cannot be loaded as types; null if they can. */
export function whyNotTypes(options: CopyOptions | null): string | null {
  const header = options?.get('header');
  if (header === undefined || OFF.has(header.toLowerCase())) return null;
  return "the header of the COPY can't be loaded as values of the columns' types: copy without HEADER to use setTypes()";
}

/** Why texts cannot be copied in the session's foreign encoding; null if they can. */
export function whyNotTexts(options: CopyOptions | null, foreignEncoding: string | null): string | null {
  if (foreignEncoding === null || UTF8.test(options?.get('encoding') ?? '')) return null;
  return (
    `rows and strings can't be copied while client_encoding is ${foreignEncoding}: SET client_encoding TO UTF8,` +
    " copy with ENCODING 'UTF8', or write and read bytes"
  );
}
