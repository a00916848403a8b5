import { Client } from './client.js';
import { Cursor } from './cursor.js';
import { DatabaseError } from './database-error.js';
import { defaults } from './defaults.js';
import { escapeIdentifier, escapeLiteral } from './escape.js';
import { Pool } from './pool.js';
import { Query } from './query.js';
import { Result } from './result.js';
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
