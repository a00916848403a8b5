import pg from 'pg';
import pgPromise from 'pg-promise';
import postgres from 'postgres';
import { createPool, sql as slonikSql, type DatabasePool, type DatabasePoolConnection } from 'slonik';
import { AsyncConnection } from './package.js';

export { slonikSql };

type PromiseConnection = Awaited<ReturnType<ReturnType<ReturnType<typeof pgPromise>>['connect']>>;

/** One connection of each client, with its defaults. */
export class Clients implements AsyncDisposable {
  readonly #atEnd: (() => Promise<unknown>)[] = [];

  private constructor(
    readonly ours: AsyncConnection,
    readonly postgres: postgres.Sql,
    readonly pg: pg.Client,
    /** pg with pipelining: it sends queries without waiting for earlier answers. */
    readonly pgPipelining: pg.Client,
    readonly pgPromise: PromiseConnection,
    readonly slonik: DatabasePoolConnection,
  ) {}

  static async connect(dsn: string): Promise<Clients> {
    const ours = await AsyncConnection.connect(dsn, { autocommit: true });
    const postgresJs = postgres(dsn, { max: 1, onnotice: () => undefined });
    const pgClient = new pg.Client(dsn);
    await pgClient.connect();
    const pipelining = new pg.Client({ connectionString: dsn, pipeline: true });
    await pipelining.connect();
    const promise = pgPromise({ noWarnings: true });
    const database = promise({ connectionString: dsn, max: 1 });
    const connected = await database.connect();
    const { connection, giveBack, pool } = await slonikConnection(dsn);
    const clients = new Clients(ours, postgresJs, pgClient, pipelining, connected, connection);
    clients.#atEnd.push(
      () => ours.close(),
      () => postgresJs.end({ timeout: 5 }),
      () => pgClient.end(),
      () => pipelining.end(),
      async () => {
        await connected.done();
        promise.end();
      },
      async () => {
        giveBack();
        await pool.end();
      },
    );
    return clients;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#atEnd) await end();
  }
}

/** A pool of slonik without type parsers beyond those of pg. */
export function slonikPool(dsn: string, size: number): Promise<DatabasePool> {
  return createPool(dsn, { maximumPoolSize: size, minimumPoolSize: size, typeParsers: [] });
}

/** Obtains a connection of slonik, which lends one only while a callback runs. */
async function slonikConnection(
  dsn: string,
): Promise<{ connection: DatabasePoolConnection; giveBack: () => void; pool: DatabasePool }> {
  const pool = await slonikPool(dsn, 1);
  let giveBack = (): void => undefined;
  const connection = await new Promise<DatabasePoolConnection>((resolve, reject) => {
    pool
      .connect(
        (lent) =>
          new Promise<void>((done) => {
            giveBack = done;
            resolve(lent);
          }),
      )
      .catch(reject);
  });
  return {
    connection,
    giveBack: () => {
      giveBack();
    },
    pool,
  };
}
