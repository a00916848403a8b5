import { Client } from './client.js';
import { Cursor } from './cursor.js';
import { DatabaseError } from './database-error.js';
import { defaults } from './defaults.js';
import { escapeIdentifier, escapeLiteral } from './escape.js';
import { Pool } from './pool.js';
import { Query } from './query.js';
import { Result } from './result.js';
import { TypeOverrides, types } from './type-parsers.js';

export {
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
export type { ClientConfig, Password } from './config.js';
export type { CursorConfig } from './cursor.js';
export type { Defaults } from './defaults.js';
export type { ServerFields } from './database-error.js';
export type { PoolClient } from './pool-client.js';
export type { PoolConfig, PoolOptions } from './pool.js';
export type { FieldDef, QueryArrayResult, QueryResult } from './result.js';
export type { Notice, Notification } from './server-messages.js';
export type { QueryArrayConfig, QueryConfig, QueryResultRow } from './statement.js';
export type { Submittable } from './submit.js';
export type { CustomTypes, TypeParser } from './type-parsers.js';

/** All of them as one object, as `import pg from 'pg'` gives it. */
const pg = {
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

export default pg;
