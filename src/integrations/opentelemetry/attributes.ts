import type { Attributes } from '@opentelemetry/api';
import type { ConnectMessage, QueryMessage, TracedMessage } from '../../index.js';
import { summarize } from './query-summary.js';

/** The server and the database of a connection. */
export function serverAttributes({ dbname, host, port }: ConnectMessage | QueryMessage): Attributes {
  return {
    'db.system.name': 'postgresql',
    'db.namespace': dbname,
    'server.address': host,
    'server.port': port,
  };
}

/** What is known of a query before it is executed. */
export interface QueryAttributes {
  /** The attributes of few values, which metrics have, too. */
  readonly common: Attributes;
  readonly ofSpan: Attributes;
}

const made = new WeakMap<QueryMessage, QueryAttributes>();

/** The attributes of a query, which are made once for its span and its metric. */
export function queryAttributes(message: QueryMessage): QueryAttributes {
  let attributes = made.get(message);
  if (attributes === undefined) made.set(message, (attributes = describeQuery(message)));
  return attributes;
}

function describeQuery(message: QueryMessage): QueryAttributes {
  const { query, batchSize } = message;
  const { text, summary, operation, collection } = summarize(query);
  const isBatch = batchSize > 1;
  const prefix = isBatch ? 'BATCH ' : '';
  const common = serverAttributes(message);
  if (summary !== '') common['db.query.summary'] = prefix + summary;
  if (operation !== undefined) common['db.operation.name'] = prefix + operation;
  if (collection !== undefined) common['db.collection.name'] = collection;
  const ofSpan: Attributes = { ...common, 'db.query.text': text };
  if (isBatch) ofSpan['db.operation.batch.size'] = batchSize;
  return { common, ofSpan };
}

/** The attributes that a failure adds. */
export function errorAttributes({ error, sqlstate }: TracedMessage): Attributes {
  if (error === undefined) return {};
  if (sqlstate === null) return { 'error.type': errorName(error) };
  return { 'error.type': sqlstate, 'db.response.status_code': sqlstate };
}

/** The name of an error's class. */
export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
