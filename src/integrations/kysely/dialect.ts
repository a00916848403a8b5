import {
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type QueryCompiler,
} from 'kysely';
import { AsyncConnectionPool, errors, type ConninfoSource, type PoolOptions } from '../../index.js';
import { CallOptions } from '../../options/call-options.js';
import { ANYTHING, OBJECT } from '../../options/kinds.js';
import { SessionAdapters } from './session-adapters.js';
import { UsingpgDriver, type ConnectionPool, type PoolSource } from './driver.js';

/** The pool of a dialect: one of yours, or what the dialect makes one of. */
export type UsingpgDialectConfig =
  | {
      /** A pool, or a function that gives it at the first query. It is yours: `db.destroy()` leaves it open. */
      pool: ConnectionPool | (() => ConnectionPool | Promise<ConnectionPool>);
      conninfo?: undefined;
      poolOptions?: undefined;
    }
  | {
      /** The server, as the first argument of `new AsyncConnectionPool()`. The pool is made at the first query, and closed by `db.destroy()`. */
      conninfo: ConninfoSource;
      /** The options of that pool. */
      poolOptions?: PoolOptions<unknown> | undefined;
      pool?: undefined;
    };

/** Options of a dialect. */
export interface UsingpgDialectOptions {
  /**
   * The conversions of results. `'pg'`: those of node-postgres (`pgTypes()`), which Kysely's documentation, kysely-codegen and code
   * written for `PostgresDialect` assume: int8 and numeric as strings, timestamp and date as `Date`. `'usingpg'`: those of the
   * pool's connections, as `conn.execute()` has them: int8 as `bigint`, timestamp and date as exact strings, and whatever loaders
   * are registered. @default 'pg'
   */
  types?: 'pg' | 'usingpg' | undefined;
}

const CONFIG = new CallOptions<UsingpgDialectConfig>('new UsingpgDialect(options)', {
  pool: ANYTHING,
  conninfo: ANYTHING,
  poolOptions: OBJECT,
});
const OPTIONS = new CallOptions<UsingpgDialectOptions>('new UsingpgDialect(config, options)', {
  types: { what: "'pg' or 'usingpg'", is: (value) => value === 'pg' || value === 'usingpg' },
});

/**
 * Kysely's dialect for PostgreSQL over a pool of this library. Parameters are sent as node-postgres sends them, so that the server
 * infers their types (`inferredParams()`).
 *
 * @example
 * import { Kysely } from 'kysely';
 * import { UsingpgDialect } from 'usingpg/kysely';
 * const db = new Kysely<{ city: { id: number; name: string } }>({
 *   dialect: new UsingpgDialect({ conninfo: 'postgresql://localhost/app', poolOptions: { maxSize: 10 } }),
 * });
 * for await (const { name } of db.selectFrom('city').select('name').stream()) console.log(name);
 */
export class UsingpgDialect implements Dialect {
  readonly #source: PoolSource;
  readonly #adapters: SessionAdapters;

  /** Raises `ProgrammingError` for an unknown option, and unless there is either a pool or a conninfo. */
  constructor(config: UsingpgDialectConfig, options: UsingpgDialectOptions = {}) {
    CONFIG.check(config);
    OPTIONS.check(options);
    this.#source = sourceOf(config);
    this.#adapters = new SessionAdapters(options.types !== 'usingpg');
  }

  /** Called by Kysely. */
  createDriver(): Driver {
    return new UsingpgDriver(this.#source, this.#adapters);
  }

  /** Called by Kysely. */
  createQueryCompiler(): QueryCompiler {
    return new PostgresQueryCompiler();
  }

  /** Called by Kysely. */
  createAdapter(): DialectAdapter {
    return new PostgresAdapter();
  }

  /** Called by Kysely. */
  createIntrospector(db: Parameters<Dialect['createIntrospector']>[0]): DatabaseIntrospector {
    return new PostgresIntrospector(db);
  }
}

function sourceOf(config: Partial<UsingpgDialectConfig> = {}): PoolSource {
  const { pool, conninfo, poolOptions } = config;
  if (pool === undefined && conninfo !== undefined) {
    return { isOwn: true, pool: () => new AsyncConnectionPool(conninfo, poolOptions) };
  }
  if (pool == null || conninfo !== undefined || poolOptions !== undefined) {
    throw new errors.ProgrammingError(
      'UsingpgDialect needs either `pool`, or `conninfo` with optional `poolOptions`',
    );
  }
  if (typeof pool !== 'function' && (typeof pool !== 'object' || !('getconn' in pool))) {
    throw new errors.ProgrammingError(
      'expected the pool of UsingpgDialect to be an AsyncConnectionPool, or a function that gives one',
    );
  }
  return { isOwn: false, pool: typeof pool === 'function' ? pool : () => pool };
}
