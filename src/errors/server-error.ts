import { adviceFor } from './advice.js';
import type { DatabaseError } from './base.js';
import { reportInStack } from './callers-stack.js';
import { Diagnostic } from './diagnostic.js';
import { conditionClass, conditionOf } from './lookup.js';
import { ADVICE_LABEL } from './server-report.js';
import { baseOf } from './sqlstate-bases.js';

/** An advice about a parameter that has a name in the query, with that name. */
function withName(advice: string, primary: string, names: readonly string[] | null): string {
  const number = names === null ? undefined : /parameter \$(\d+)/.exec(primary)?.[1];
  return number === undefined ? advice : advice.replaceAll('%s', names![Number(number) - 1] ?? '%s');
}

/**
 * Makes the error for an `ErrorResponse`; `fields` are keyed by the protocol's letters. `position` converts the server's position
 * to one in `query`, if `query` is not the text that was sent.
 */
export function errorFromResponse(
  fields: ReadonlyMap<string, string>,
  query: string | null = null,
  parameterNames: readonly string[] | null = null,
  position?: (sent: number) => number | null,
): DatabaseError {
  const sqlstate = fields.get('C') ?? '';
  const name = conditionOf(sqlstate);
  const errorClass = name === undefined ? baseOf(sqlstate) : conditionClass(name);
  const primary = fields.get('M') ?? 'the server reported an error without a message';
  const advice = adviceFor(sqlstate, primary, query);
  const message =
    advice === null ? primary : primary + ADVICE_LABEL + withName(advice, primary, parameterNames);
  const sent = fields.get('P');
  const error = new errorClass(message, {
    diag: new Diagnostic(fields),
    query,
    position: sent === undefined ? undefined : position?.(Number(sent)),
  });
  reportInStack(error);
  return error;
}
