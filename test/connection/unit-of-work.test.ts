import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  AsyncConnection,
  conninfoToDict,
  errors,
  TransactionStatus,
  type AsyncConnectionPool,
  type ConninfoParams,
} from '../../src/index.js';
import { admin, dsn, makePool, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { warningsOf } from '../support/warnings.js';

beforeAll(async () => {
  await admin(`
    CREATE TABLE unit_parent (id int PRIMARY KEY);
    CREATE TABLE unit_work (id int PRIMARY KEY, parent int REFERENCES unit_parent DEFERRABLE INITIALLY DEFERRED,
      pause float8 NOT NULL DEFAULT 0);
    CREATE FUNCTION unit_at_commit() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(NEW.pause); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER unit_at_commit AFTER INSERT ON unit_work DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.pause > 0) EXECUTE FUNCTION unit_at_commit()`);
});
afterAll(() => admin('DROP TABLE unit_work, unit_parent; DROP FUNCTION unit_at_commit'));

let lastId = 0;

/** The objects that a way to die may use. */
interface Victim {
  readonly conn: AsyncConnection;
  readonly proxy: FaultProxy;
  readonly pool: AsyncConnectionPool | null;
}

/** A way in which a transaction dies, and the error that its commit must raise. */
interface Death {
  /** The value of the row that it writes. */
  readonly parent?: number;
  readonly pause?: number;
  /** Acts before the commit is requested. */
  readonly before?: (victim: Victim) => Promise<unknown>;
  /** Acts while the COMMIT runs. */
  readonly during?: (victim: Victim) => Promise<unknown>;
  readonly raises: abstract new (...args: never[]) => Error;
  /** Applies only to a connection checked out from a pool. */
  readonly ofPool?: boolean;
}

const swallow = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined);

async function untilClosed({ conn }: Victim): Promise<void> {
  await expect.poll(() => conn.closed, { interval: 5 }).toBe(true);
}

async function untilCommitting({ conn }: Victim): Promise<void> {
  const text = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query ILIKE 'commit%'";
  await expect
    .poll(() => admin(text, [conn.info.backendPid]), { timeout: 5000, interval: 10 })
    .toHaveLength(1);
}

const DEATHS: Readonly<Record<string, Death>> = {
  'a failed statement whose error is swallowed': {
    before: ({ conn }) => swallow(conn.execute('SELECT 1/0')),
    raises: errors.InFailedSqlTransaction,
  },
  'a failed statement that is not awaited': {
    before: ({ conn }) => {
      void swallow(conn.execute('SELECT 1/0'));
      return Promise.resolve();
    },
    raises: errors.InFailedSqlTransaction,
  },
  'a failed statement, and a COMMIT sent as text': {
    async before({ conn }) {
      await swallow(conn.execute('SELECT 1/0'));
      const cursor = await conn.execute('COMMIT');
      expect(cursor.statusmessage).toBe('ROLLBACK');
    },
    raises: errors.InFailedSqlTransaction,
  },
  'a deferred constraint': { parent: 999, raises: errors.ForeignKeyViolation },
  'a backend that is killed, of which a statement has heard': {
    async before({ conn }) {
      await terminate(conn.info.backendPid);
      await swallow(conn.execute('SELECT 1'));
    },
    raises: errors.AdminShutdown,
  },
  'a backend that is killed unnoticed': {
    async before(victim) {
      await terminate(victim.conn.info.backendPid);
      await untilClosed(victim);
    },
    raises: errors.AdminShutdown,
  },
  'a backend that is killed at this moment': {
    before: ({ conn }) => terminate(conn.info.backendPid),
    raises: errors.OperationalError,
  },
  'a network that is cut': {
    async before(victim) {
      victim.proxy.resetAll();
      await untilClosed(victim);
    },
    raises: errors.OperationalError,
  },
  'a transaction that was idle for too long': {
    async before(victim) {
      await victim.conn.execute("SET idle_in_transaction_session_timeout = '20ms'");
      await untilClosed(victim);
    },
    raises: errors.IdleInTransactionSessionTimeout,
  },
  'a COMMIT that is cancelled': {
    pause: 20,
    during: ({ conn }) => admin('SELECT pg_cancel_backend($1)', [conn.info.backendPid]),
    raises: errors.QueryCanceled,
  },
  'a COMMIT that is cancelled by cancelSafe()': {
    pause: 20,
    during: ({ conn }) => conn.cancelSafe(),
    raises: errors.QueryCanceled,
  },
  'a backend that is killed while the COMMIT runs': {
    pause: 20,
    during: ({ conn }) => terminate(conn.info.backendPid),
    raises: errors.TransactionOutcomeUnknown,
  },
  'a network that is cut while the COMMIT runs': {
    pause: 0.3,
    during: ({ proxy }) => {
      proxy.resetAll();
      return Promise.resolve();
    },
    raises: errors.TransactionOutcomeUnknown,
  },
  'an answer to the COMMIT that is lost': {
    async before({ proxy }) {
      // The answers to unawaited statements arrive.
      await sleep(20);
      proxy.blackHole.add('down');
      setTimeout(() => {
        proxy.resetAll();
      }, 200);
    },
    // A savepoint's answer is no answer to a COMMIT.
    raises: errors.OperationalError,
  },
  'a pool that is closed with a timeout': {
    before: ({ pool }) => pool!.close(0),
    raises: errors.OperationalError,
    ofPool: true,
  },
  'a pool that is closed with a timeout while the COMMIT runs': {
    pause: 20,
    during: ({ pool }) => pool!.close(0),
    raises: errors.OperationalError,
    ofPool: true,
  },
};

/** A call that commits: `work` writes a row and dies. */
interface Committing {
  commit(work: (conn: AsyncConnection) => Promise<string>, place: Place): Promise<unknown>;
  readonly ofPool?: boolean;
}

interface Place {
  readonly conn: () => Promise<AsyncConnection>;
  readonly pool: AsyncConnectionPool;
  readonly params: ConninfoParams;
}

const CALLS: Readonly<Record<string, Committing>> = {
  'conn.commit()': {
    async commit(work, { conn }) {
      const connection = await conn();
      await work(connection);
      await connection.commit();
    },
  },
  'conn.commit() in a pipeline': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.withPipeline(async (pipeline) => {
        await work(connection);
        // The pipeline's failure is reported and ignored.
        await swallow(pipeline.sync());
        await connection.commit();
      });
    },
  },
  'tx.commit()': {
    async commit(work, { conn }) {
      const connection = await conn();
      const transaction = await connection.transaction();
      await work(connection);
      await transaction.commit();
    },
  },
  'conn.withTransaction()': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.withTransaction(() => work(connection));
    },
  },
  'conn.withTransaction() in autocommit': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.setAutocommit(true);
      await connection.withTransaction(() => work(connection));
    },
  },
  'a block within a block': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.withTransaction((outer) => outer.withTransaction(() => work(connection)));
    },
  },
  'an unnoticed block within a block': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.withTransaction(async () => {
        await work(connection);
        await swallow(connection.withTransaction(() => connection.execute('SELECT 1')));
      });
    },
  },
  'AsyncConnection.withConnection()': {
    commit: (work, { params }) => AsyncConnection.withConnection(dsn(params), work),
  },
  'tpcCommit() of one phase': {
    async commit(work, { conn }) {
      const connection = await conn();
      await connection.tpcBegin('unit of work');
      await work(connection);
      await connection.tpcCommit();
    },
  },
  'pool.withConnection()': { commit: (work, { pool }) => pool.withConnection(work), ofPool: true },
  'pool.map()': { commit: (work, { pool }) => pool.map([1], work), ofPool: true },
  'pool.withTransaction()': { commit: (work, { pool }) => pool.withTransaction(work), ofPool: true },
  'conn.commit() of a pool’s connection': {
    commit: (work, { pool }) =>
      pool.withConnection(async (conn) => {
        await work(conn);
        await conn.commit();
      }),
    ofPool: true,
  },
};

/** Runs a unit of work that dies this way, and returns what was wrong about its outcome; '' if nothing was. */
async function outcome(call: Committing, death: Death): Promise<string> {
  const target = conninfoToDict(inject('dsn'));
  await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
  const params = { host: '127.0.0.1', port: proxy.port };
  const pool = call.ofPool === true ? makePool({ maxSize: 1 }, params) : null;
  const id = ++lastId;
  let striking: Promise<unknown> = Promise.resolve();
  let used: AsyncConnection | null = null;
  const work = async (conn: AsyncConnection): Promise<string> => {
    used = conn;
    const victim: Victim = { conn, proxy, pool };
    const { parent = null, pause = 0 } = death;
    await conn.execute('INSERT INTO unit_work VALUES (%s, %s, %s)', [id, parent, pause]);
    await death.before?.(victim);
    const { during } = death;
    if (during !== undefined) striking = untilCommitting(victim).then(() => during(victim));
    return 'stored';
  };
  const connections: AsyncConnection[] = [];
  const place: Place = {
    conn: async () => {
      const connection = await AsyncConnection.connect(dsn(params));
      connections.push(connection);
      return connection;
    },
    pool: pool!,
    params,
  };
  const wrong: string[] = [];
  const error = await call.commit(work, place).then(
    () => null,
    (reason: unknown) => reason,
  );
  await striking;
  const isUnknown = error instanceof errors.TransactionOutcomeUnknown;
  if (error === null) wrong.push('it resolved');
  else if (!(error instanceof death.raises)) wrong.push(`it raised ${inspect(error)}`);
  const stored = (await admin('SELECT 1 FROM unit_work WHERE id = $1', [id])).length > 0;
  if (stored && !isUnknown) wrong.push('the row is stored');
  const own = connections[0];
  if (own !== undefined && !own.closed) {
    const { transactionStatus } = own.info;
    if (transactionStatus !== TransactionStatus.IDLE) wrong.push(`the connection is ${transactionStatus}`);
    const next = await own.execute('SELECT 1').catch((reason: unknown) => reason);
    if (next instanceof Error) wrong.push(`the connection can't be used: ${String(next)}`);
  }
  if (used === null) wrong.push('nothing was tried');
  proxy.blackHole.clear();
  await warningsOf('USINGPG_UNCOMMITTED', async () => {
    for (const connection of connections) await connection.close();
    await pool?.close();
  });
  return wrong.join(', ');
}

/** Ways to die that have another meaning for a call. */
const SKIPPED: Readonly<Record<string, readonly string[]>> = {
  // In a pipeline, a text has no tag yet, and the server is not idle before a Sync.
  'conn.commit() in a pipeline': [
    'a failed statement, and a COMMIT sent as text',
    'a transaction that was idle for too long',
  ],
  // The text ends the outermost block.
  'a block within a block': ['a failed statement, and a COMMIT sent as text'],
  'an unnoticed block within a block': ['a failed statement, and a COMMIT sent as text'],
};

describe('no call that commits resolves unless the server confirmed the COMMIT', () => {
  describe.each(Object.entries(CALLS))('%s', (name, call) => {
    const deaths = Object.entries(DEATHS).filter(
      ([death, { ofPool }]) =>
        (ofPool !== true || call.ofPool === true) && SKIPPED[name]?.includes(death) !== true,
    );
    it.each(deaths)('after %s', async (_, death) => {
      expect(await outcome(call, death)).toBe('');
    });
  });
});
