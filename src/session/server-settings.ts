import * as errors from '../errors/index.js';
import { shownText, type StatementRequest } from './statement.js';

// The library speaks UTF-8. A session with another client_encoding may go on as long as all texts are ASCII, which is the same in every
// client encoding. Any other text would be read, and stored, as something else.

const NULL = -1;
const ASCII = /^[\x00-\x7f]*$/; // eslint-disable-line no-control-regex -- that is what ASCII is

/** The settings that dates in another style than ISO are read by. */
const FOR_DATES = ['DateStyle', 'TimeZone'];

/** The settings of a session that the server reports, such as `server_version`, and what is in doubt until it reports again. */
export class ServerSettings {
  /** As the server has reported them last. */
  readonly reported = new Map<string, string>();
  /** What loaders of values may rely on: nothing that a statement may have changed since. */
  readonly certain = new Map<string, string>();
  /**
   * Why texts beyond ASCII can't be exchanged now: what client_encoding is; null if they can. SQL_ASCII leaves all texts as they are.
   * A field, since every row asks.
   */
  foreignEncoding: string | null = null;
  /** Whether the server speaks the simple protocol only, as PgBouncer's admin console does. */
  speaksSimpleOnly = false;
  /** Whether a statement has been sent that may change client_encoding. Fields, since each answer asks. */
  encodingInDoubt = false;
  /** Whether a statement has ended that may have changed what dates are read by. */
  datesInDoubt = false;

  set(name: string, value: string): void {
    this.reported.set(name, value);
    this.certain.set(name, value);
    if (name === 'client_encoding') this.#seeEncoding();
    if (name === 'server_version') this.speaksSimpleOnly = value.endsWith('/bouncer');
  }

  /** A statement is sent that may change client_encoding. */
  doubtEncoding(): void {
    this.encodingInDoubt = true;
    this.#seeEncoding();
  }

  /** ReadyForQuery has come, and nothing is in flight that may change client_encoding. */
  trustEncoding(): void {
    this.encodingInDoubt = false;
    this.#seeEncoding();
  }

  #seeEncoding(): void {
    const encoding = this.reported.get('client_encoding');
    const isForeign = encoding !== undefined && encoding !== 'UTF8' && encoding !== 'SQL_ASCII';
    this.foreignEncoding = isForeign ? encoding : this.encodingInDoubt ? IN_DOUBT : null;
  }

  /** A statement has ended that may have changed any setting; the server reports changes before its next ReadyForQuery. */
  doubtDates(): void {
    if (this.datesInDoubt) return;
    this.datesInDoubt = true;
    for (const name of FOR_DATES) this.certain.delete(name);
  }

  /** ReadyForQuery has come: all changes have been reported. */
  trustDates(): void {
    this.datesInDoubt = false;
    for (const name of FOR_DATES) {
      const value = this.reported.get(name);
      if (value !== undefined) this.certain.set(name, value);
    }
  }
}

const IN_DOUBT = 'not known, which a statement before it, or in the same text, may have changed';

/** Why a statement can't be sent in this encoding; null if it can. */
export function whyNotSent(request: StatementRequest, encoding: string): Error | null {
  const { text, executions } = request;
  const isAscii =
    ASCII.test(text) &&
    (executions ?? []).every((params) =>
      params.every((param) => param.text === null || ASCII.test(param.text)),
    );
  return isAscii ? null : inForeign(encoding, 'sent', shownText(request));
}

/** Raises `NotSupportedError` if a row in text format, the body of a `DataRow`, has a value that can't be read in this encoding. */
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
    for (; at < stop; at++) if (bytes[at]! > 0x7f) throw inForeign(encoding, 'read', shownText(request));
  }
}

function inForeign(encoding: string, what: string, query: string): Error {
  return new errors.NotSupportedError(
    `a text beyond ASCII can't be ${what} while client_encoding is ${encoding}; SET client_encoding TO UTF8 in a statement of its` +
      ' own, or convert it in SQL',
    { query },
  );
}
