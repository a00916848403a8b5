import * as errors from '../errors/index.js';
import type { Field, Notification } from '../wire/backend-messages.js';
import { shownText, type StatementRequest } from './statement.js';

// The library uses UTF-8. A session with another client_encoding may continue as long as all texts are ASCII, which is the same
// in every client encoding. Any other text would be read or stored incorrectly. It is refused, but for the texts of errors and
// notices, which have U+FFFD in place of what UTF-8 does not know: they must be told in any case.

const NULL = -1;
const ASCII = /^[\x00-\x7f]*$/; // eslint-disable-line no-control-regex -- that is what ASCII is

/** The settings needed to read dates in a style other than ISO. */
const FOR_DATES = ['DateStyle', 'TimeZone'];

/** The settings that the server reports, such as `server_version`, and which of them are in doubt until the next report. */
export class ServerSettings {
  /** The values last reported by the server. */
  readonly reported = new Map<string, string>();
  /** The values that loaders may rely on, without those that a statement may have changed since the report. */
  readonly certain = new Map<string, string>();
  /**
   * The client_encoding because of which texts beyond ASCII cannot be exchanged now; null if they can. SQL_ASCII changes no text, so
   * that those of a database in UTF-8 can be exchanged.
   * A field instead of a getter, since it is read for every row.
   */
  foreignEncoding: string | null = null;
  /** Whether the server supports the simple protocol only, like PgBouncer's admin console. */
  speaksSimpleOnly = false;
  /** Whether a statement was sent that may change client_encoding. A field instead of a getter, since each answer reads it. */
  encodingInDoubt = false;
  /** Whether a statement has ended that may have changed the settings for reading dates. */
  datesInDoubt = false;

  set(name: string, value: string): void {
    this.reported.set(name, value);
    this.certain.set(name, value);
    if (name === 'client_encoding' || name === 'server_encoding') this.#seeEncoding();
    if (name === 'server_version') this.speaksSimpleOnly = value.endsWith('/bouncer');
  }

  /** A statement is being sent that may change client_encoding. */
  doubtEncoding(): void {
    this.encodingInDoubt = true;
    this.#seeEncoding();
  }

  /** ReadyForQuery has arrived, and no statement in flight may change client_encoding. */
  trustEncoding(): void {
    this.encodingInDoubt = false;
    this.#seeEncoding();
  }

  #seeEncoding(): void {
    const encoding = this.reported.get('client_encoding');
    const sent = encoding === 'SQL_ASCII' ? this.reported.get('server_encoding') : encoding;
    const isForeign = sent !== undefined && sent !== 'UTF8';
    this.foreignEncoding = isForeign ? encoding! : this.encodingInDoubt ? IN_DOUBT : null;
  }

  /** A statement ended that may have changed any setting. The server reports changes before its next ReadyForQuery. */
  doubtDates(): void {
    if (this.datesInDoubt) return;
    this.datesInDoubt = true;
    for (const name of FOR_DATES) this.certain.delete(name);
  }

  /** ReadyForQuery has arrived, so all changes have been reported. */
  trustDates(): void {
    this.datesInDoubt = false;
    for (const name of FOR_DATES) {
      const value = this.reported.get(name);
      if (value !== undefined) this.certain.set(name, value);
    }
  }
}

const IN_DOUBT = 'not known, which a statement before it, or in the same text, may have changed';

/** The error for a statement that cannot be sent in this encoding; null if it can. */
export function whyNotSent(request: StatementRequest, encoding: string): Error | null {
  const { text, executions } = request;
  const isAscii =
    ASCII.test(text) &&
    (executions ?? []).every((params) =>
      params.every((param) => param.text === null || ASCII.test(param.text)),
    );
  return isAscii ? null : inForeign(encoding, 'a text beyond ASCII', 'sent', shownText(request));
}

/**
 * Raises `NotSupportedError` if a row in text format, the body of a `DataRow`, contains a value that cannot be read in this
 * encoding.
 */
export function checkReadable(
  bytes: Buffer,
  start: number,
  end: number,
  encoding: string,
  request: StatementRequest,
): void {
  for (let at = start + 2; at + 4 <= end;) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === NULL) continue;
    const stop = Math.min(at + length, end);
    for (; at < stop; at++) {
      if (bytes[at]! > 0x7f) throw inForeign(encoding, 'a text beyond ASCII', 'read', shownText(request));
    }
  }
}

/** The error for columns whose names cannot be read in this encoding; null if they can. */
export function whyNotNamed(
  fields: readonly Field[],
  encoding: string,
  request: StatementRequest,
): Error | null {
  if (fields.every(({ name }) => ASCII.test(name))) return null;
  return inForeign(encoding, "a column's name beyond ASCII", 'read', shownText(request));
}

/** The error for a notification that cannot be read in this encoding; null if it can. */
export function whyNotNotified({ channel, payload }: Notification, encoding: string): Error | null {
  if (ASCII.test(channel) && ASCII.test(payload)) return null;
  return inForeign(encoding, 'a notification beyond ASCII', 'read', null);
}

/** Whether a loaded value contains text beyond ASCII. Without recursion, since JSON may be nested deeply. */
export function isBeyondAscii(value: unknown): boolean {
  const parts = new Set([value]);
  for (const part of parts) {
    if (typeof part === 'string') {
      if (!ASCII.test(part)) return true;
    } else if (typeof part === 'object' && part !== null && !ArrayBuffer.isView(part)) {
      for (const [key, inner] of Object.entries(part)) parts.add(key).add(inner);
    }
  }
  return false;
}

/** The error of a statement, or a pipeline's segment, within which client_encoding was changed to this one. */
export function changedWithin(encoding: string, query: string | null): Error {
  return new errors.NotSupportedError(
    `client_encoding was changed to ${encoding} by a function: texts beyond ASCII that were read or sent in the same statement or` +
      ' pipeline may be wrong; SET client_encoding in a statement of its own, or convert the text in SQL',
    { query },
  );
}

function inForeign(encoding: string, what: string, done: string, query: string | null): Error {
  return new errors.NotSupportedError(
    `${what} can't be ${done} while client_encoding is ${encoding}; SET client_encoding TO UTF8 in a statement of its own, or` +
      ' convert it in SQL',
    { query },
  );
}
