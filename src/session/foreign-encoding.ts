import * as errors from '../errors/index.js';
import type { StatementRequest } from './statement.js';

// The library speaks UTF-8. A session whose client_encoding somebody has changed goes on for as long as nothing is said beyond ASCII,
// which all encodings of a client have in common; the rest would be read, and stored, as something else.

const NULL = -1;
const ASCII = /^[\x00-\x7f]*$/; // eslint-disable-line no-control-regex -- that is what ASCII is

/** The encoding of a session, if texts beyond ASCII can't be exchanged in it; else null. SQL_ASCII leaves all texts as they are. */
export function foreignEncoding(parameters: ReadonlyMap<string, string>): string | null {
  const encoding = parameters.get('client_encoding');
  return encoding === undefined || encoding === 'UTF8' || encoding === 'SQL_ASCII' ? null : encoding;
}

/** Why a statement can't be sent in this encoding; null if it can. */
export function whyNotSent({ text, executions }: StatementRequest, encoding: string): Error | null {
  const isAscii =
    ASCII.test(text) &&
    (executions ?? []).every((params) =>
      params.every((param) => param.text === null || ASCII.test(param.text)),
    );
  return isAscii ? null : inForeign(encoding, 'sent', text);
}

/** Raises `NotSupportedError` if a row in text format, the body of a `DataRow`, has a value that can't be read in this encoding. */
export function checkReadable(
  bytes: Buffer,
  start: number,
  end: number,
  encoding: string,
  query: string,
): void {
  for (let at = start + 2; at + 4 <= end;) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === NULL) continue;
    const stop = Math.min(at + length, end);
    for (; at < stop; at++) if (bytes[at]! > 0x7f) throw inForeign(encoding, 'read', query);
  }
}

function inForeign(encoding: string, what: string, query: string): Error {
  return new errors.NotSupportedError(
    `a text beyond ASCII can't be ${what} while client_encoding is ${encoding}; SET client_encoding TO UTF8, or convert it in SQL`,
    { query },
  );
}
