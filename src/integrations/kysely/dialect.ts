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

const CONFIG: readonly string[] = ['pool', 'conninfo', 'poolOptions'];

/**
 * Kysely's dialect for PostgreSQL over a pool of this library.
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

  /** Raises `ProgrammingError` for an unknown option, and unless there is either a pool or a conninfo. */
  constructor(config: UsingpgDialectConfig) {
    this.#source = sourceOf(config);
  }

  /** Called by Kysely. */
  createDriver(): Driver {
    return new UsingpgDriver(this.#source);
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

function sourceOf(config: UsingpgDialectConfig): PoolSource {
  const unknown = Object.keys(config).find((name) => !CONFIG.includes(name));
  if (unknown !== undefined) {
    throw new errors.ProgrammingError(
      `unknown option \`${unknown}\` of UsingpgDialect: the options are ${CONFIG.join(', ')}`,
    );
  }
  const { pool, conninfo, poolOptions } = config;
  if (pool === undefined && conninfo !== undefined) {
    return { isOwn: true, pool: () => new AsyncConnectionPool(conninfo, poolOptions) };
  }
  if (pool === undefined || conninfo !== undefined || poolOptions !== undefined) {
    throw new errors.ProgrammingError(
      'UsingpgDialect needs either `pool`, or `conninfo` with optional `poolOptions`',
    );
  }
  return { isOwn: false, pool: typeof pool === 'function' ? pool : () => pool };
}
