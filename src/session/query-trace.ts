import {
  NOT_ENDED,
  tracers,
  type ConnectionMessage,
  type QueryKind,
  type QueryMessage,
} from '../diagnostics.js';
import { firstWords, startOfFirstToken } from '../sql-segments.js';
import { affectedRows, shownText, type StatementRequest, type StatementResult } from './statement.js';

/** Runs a statement and publishes its message on the diagnostics channel. */
export function traceQuery(
  request: StatementRequest,
  connection: ConnectionMessage,
  run: () => Promise<readonly StatementResult[]>,
): Promise<readonly StatementResult[]> {
  const message = queryMessage(request, connection);
  return tracers.query.trace(message, run, (results) => {
    completeMessage(message, request, results);
  });
}

/** The initial message of a statement's trace. */
function queryMessage(request: StatementRequest, connection: ConnectionMessage): QueryMessage {
  const query = shownText(request);
  return {
    query,
    operation: operationOf(query),
    kind: kindOf(request),
    batchSize: request.executions?.length ?? 1,
    values: () => valuesOf(request),
    ...connection,
    tag: null,
    rowcount: null,
    ...NOT_ENDED,
  };
}

/** Adds a statement's outcome to its message. */
function completeMessage(
  message: QueryMessage,
  { exchange }: StatementRequest,
  results: readonly StatementResult[],
): void {
  message.tag = results.at(-1)?.tag ?? null;
  const counts = results.map(({ tag }) => affectedRows(tag));
  if (exchange?.kind === 'rows') counts.push(exchange.rowsBefore);
  for (const count of counts) if (count !== null) message.rowcount = (message.rowcount ?? 0) + count;
}

function kindOf({ exchange, executions, portal }: StatementRequest): QueryKind {
  if (exchange !== undefined) return exchange.kind === 'copy' ? 'copy' : 'stream';
  if (portal !== undefined) return 'portal';
  return executions !== null && executions.length > 1 ? 'batch' : 'statement';
}

function valuesOf({ executions }: StatementRequest): (string | null)[][] {
  const values = (executions ?? []).map((params) => params.map(({ text }) => text));
  return values[0]?.length === 0 ? [] : values;
}

/** The first word of a query, after comments, opening parentheses and empty statements. */
function operationOf(query: string): string | null {
  let start = startOfFirstToken(query);
  while (query[start] === '(' || query[start] === ';') start += 1 + startOfFirstToken(query.slice(start + 1));
  return firstWords(query.slice(start), 1).toUpperCase() || null;
}
