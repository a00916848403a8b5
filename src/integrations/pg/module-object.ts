import { Client } from './client.js';
import type { ClientConfig } from './config.js';
import { Cursor } from './cursor.js';
import { DatabaseError } from './database-error.js';
import { defaults } from './defaults.js';
import { escapeIdentifier, escapeLiteral } from './escape.js';
import type { PoolClient } from './pool-client.js';
import { Pool, type PoolConfig } from './pool.js';
import { Query } from './query.js';
import { Result, type FieldDef, type QueryResult } from './result.js';
import type { Notification } from './server-messages.js';
import type { QueryArrayConfig, QueryConfig, QueryResultRow } from './statement.js';
import { TypeOverrides, types } from './type-parsers.js';

/** All exports as one object, as `import pg from 'pg'` gives it. */
export const pg = {
  Client,
  Cursor,
  DatabaseError,
  defaults,
  escapeIdentifier,
  escapeLiteral,
  Pool,
  Query,
  Result,
  TypeOverrides,
  types,
};

// There is no variant in native code, for which some programs look.
Object.defineProperty(pg, 'native', { value: null });

/** The types by their names, which hide the types themselves in the namespace. `T` is the type of rows, or of values. */
interface Types<T> {
  readonly Client: Client;
  readonly ClientConfig: ClientConfig;
  readonly Cursor: Cursor<T>;
  readonly DatabaseError: DatabaseError;
  readonly FieldDef: FieldDef;
  readonly Notification: Notification;
  readonly Pool: Pool;
  readonly PoolClient: PoolClient;
  readonly PoolConfig: PoolConfig;
  readonly Query: Query;
  readonly QueryArrayConfig: QueryArrayConfig<T>;
  readonly QueryConfig: QueryConfig<T>;
  readonly QueryResult: QueryResult<T>;
  readonly QueryResultRow: QueryResultRow;
  readonly Result: Result<T>;
  readonly TypeOverrides: TypeOverrides;
}

type Named<Name extends keyof Types<unknown>, T = never> = Types<T>[Name];

/**
 * The types of the exports, as `import pg from 'pg'` gives them.
 *
 * @example
 * import pg from 'usingpg/pg';
 * const listen = async (client: pg.ClientBase, onMessage: (message: pg.Notification) => void) => {
 *   client.on('notification', onMessage);
 *   await client.query('LISTEN jobs');
 * };
 */
/* eslint-disable @typescript-eslint/no-namespace, @typescript-eslint/no-explicit-any -- as in node-postgres's declarations */
export declare namespace pg {
  type Client = Named<'Client'>;
  type ClientBase = Named<'Client'>;
  type ClientConfig = Named<'ClientConfig'>;
  type Cursor<R = any> = Named<'Cursor', R>;
  type DatabaseError = Named<'DatabaseError'>;
  type FieldDef = Named<'FieldDef'>;
  type Notification = Named<'Notification'>;
  type Pool = Named<'Pool'>;
  type PoolClient = Named<'PoolClient'>;
  type PoolConfig = Named<'PoolConfig'>;
  type Query = Named<'Query'>;
  type QueryArrayConfig<I = any[]> = Named<'QueryArrayConfig', I>;
  type QueryArrayResult<R extends any[] = any[]> = Named<'QueryResult', R>;
  type QueryConfig<I = any[]> = Named<'QueryConfig', I>;
  type QueryResult<R = any> = Named<'QueryResult', R>;
  type QueryResultRow = Named<'QueryResultRow'>;
  type Result<R = any> = Named<'Result', R>;
  type TypeOverrides = Named<'TypeOverrides'>;
}
