import type { Diagnostic } from './diagnostic.js';
import { showPosition } from './query-position.js';

/** What stands before the advice of the library in a message. */
export const ADVICE_LABEL = '\nADVICE:  ';

/**
 * What the server says of an error, as libpq and psql put it: its message, the position in the query, details and hints. `message` is that
 * of the error. `position` counts in `query`; null if it is not known there, and undefined if it is the server's.
 */
export function serverReport(
  message: string,
  diag: Diagnostic,
  query: string | null,
  position: number | null | undefined,
): string {
  const adviceAt = message.indexOf(ADVICE_LABEL);
  const end = adviceAt < 0 ? message.length : adviceAt;
  let report = message.slice(0, end);
  const place = placeOf(diag, query, position);
  if (place !== '') report += `\n${place}`;
  const lines = {
    DETAIL: diag.messageDetail,
    HINT: diag.messageHint,
    QUERY: diag.internalQuery,
    CONTEXT: diag.context,
  };
  for (const [label, text] of Object.entries(lines)) if (text !== null) report += `\n${label}:  ${text}`;
  return report + message.slice(end);
}

/** The server gives a position in the query, or in one that a function has run. */
function placeOf(diag: Diagnostic, query: string | null, position: number | null | undefined): string {
  const { statementPosition, internalPosition, internalQuery } = diag;
  if (statementPosition !== null) {
    if (query === null || position === null) return '';
    return showPosition(query, position ?? Number(statementPosition));
  }
  if (internalPosition === null || internalQuery === null) return '';
  return showPosition(internalQuery, Number(internalPosition));
}
