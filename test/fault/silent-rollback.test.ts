import { sql } from 'drizzle-orm';
import { Kysely, sql as kyselySql } from 'kysely';
import { expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  TransactionStatus,
  TypeInfo,
  type AsyncTransaction,
  type PoolOptions,
} from '../../src/index.js';
import { drizzle } from '../../src/integrations/drizzle/index.js';
import { UsingpgDialect } from '../../src/integrations/kysely/index.js';
import { limitsFor } from '../../src/session/limits.js';
import { connect, dsn, rejection } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

/** A proxy before the server, which falls silent when the test says so, or with a message that contains a text. */
class Front {
  readonly proxy: FaultProxy;
  readonly conninfo: string;

  private constructor(proxy: FaultProxy) {
    this.proxy = proxy;
    this.conninfo = dsn({ host: '127.0.0.1', port: proxy.port });
  }

  static async open(): Promise<Front> {
    const { host, port } = conninfoToDict(inject('dsn'));
    const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    return new Front(proxy);
  }

  fallSilent(): void {
    this.proxy.blackHole.add('up').add('down');
  }

  fallSilentAt(text: string): void {
    this.proxy.onChunk = (_direction, chunk) => {
      if (chunk.includes(text)) this.fallSilent();
    };
  }

  /** A pool of one connection. */
  pool(options: PoolOptions = {}): AsyncConnectionPool {
    const pool = new AsyncConnectionPool(this.conninfo, { minSize: 1, maxSize: 1, timeout: 60, ...options });
    onTestFinished(() => pool.close());
    return pool;
  }

  async connect(options: { autocommit?: boolean } = {}): Promise<AsyncConnection> {
    const conn = await AsyncConnection.connect(this.conninfo, options);
    onTestFinished(() => conn.close());
    return conn;
  }

  /** Whether the pool has replaced its connection, now that the network works again. */
  async serves(pool: AsyncConnectionPool): Promise<void> {
    this.proxy.onChunk = null;
    this.proxy.resetAll();
    this.proxy.blackHole.clear();
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
  }
}

const mine = new Error('mine');

/** Leaves what the test is in by the test's own error, in a transaction whose ROLLBACK meets silence. */
async function fail(front: Front, conn: AsyncConnection): Promise<never> {
  await conn.execute('select 1');
  front.fallSilentAt('ROLLBACK');
  throw mine;
}

/** What a scope rejects with is the code's error; with that of the scope's end, both are in a SuppressedError. */
function originOf(error: unknown): unknown {
  return (error as { suppressed?: unknown }).suppressed ?? error;
}

type Door = (front: Front) => Promise<unknown>;

/** A callback that throws while what it has not awaited meets silence. */
function leftWhile(unawaited: (conn: AsyncConnection, tx: AsyncTransaction) => Promise<unknown>): Door {
  return async (front) => {
    const conn = await front.connect();
    await conn.withTransaction(async (tx) => {
      await conn.execute('select 1');
      front.fallSilent();
      void unawaited(conn, tx).catch(() => undefined);
      throw mine;
    });
  };
}

/** The doors out of a scope of whose end nobody limits the wait. Each is left by the test's own error. */
const DOORS: Readonly<Record<string, Door>> = {
  'conn.withTransaction()': async (front) => {
    const conn = await front.connect();
    await conn.withTransaction(() => fail(front, conn));
  },
  'conn.withTransaction() in autocommit': async (front) => {
    const conn = await front.connect({ autocommit: true });
    await conn.withTransaction(() => fail(front, conn));
  },
  'conn.withTransaction() while a statement runs': leftWhile((conn) => conn.execute('select 2')),
  'conn.withTransaction() while a statement with an aborted signal runs': async (front) => {
    const conn = await front.connect();
    const controller = new AbortController();
    const { signal } = controller;
    const options = { signal };
    await conn.withTransaction(async () => {
      await conn.execute('select 1');
      front.fallSilent();
      const running = conn.execute('select 2', null, options);
      controller.abort(mine);
      await running;
    }, options);
  },
  'conn.withTransaction() while its commit runs': leftWhile((_conn, tx) => tx.commit()),
  'conn.withTransaction() while its rollback runs': leftWhile((_conn, tx) => tx.rollback()),
  'conn.withTransaction() within another': async (front) => {
    const conn = await front.connect();
    await conn.withTransaction(() => conn.withTransaction(() => fail(front, conn)));
  },
  'conn.withTransaction() that refuses its commit': async (front) => {
    const conn = await front.connect();
    await conn.withTransaction(async () => {
      const inner = conn.withTransaction(async () => {
        await conn.execute('select 1/0').catch(() => undefined);
        front.fallSilentAt('ROLLBACK');
      });
      await expect(inner).rejects.toThrow('nothing was committed');
      throw mine;
    });
  },
  'the scope of conn.transaction()': async (front) => {
    const conn = await front.connect();
    await using tx = await conn.transaction();
    await fail(front, tx.connection as AsyncConnection);
  },
  'conn.transaction() whose signal is aborted': async (front) => {
    const conn = await front.connect();
    const controller = new AbortController();
    front.proxy.onChunk = (direction, chunk) => {
      if (direction === 'down' && chunk.includes('BEGIN')) controller.abort(mine);
      if (direction === 'up' && chunk.includes('ROLLBACK')) front.fallSilent();
    };
    // The BEGIN of a block with a name is sent when it is opened.
    await conn.transaction({ signal: controller.signal, savepointName: 'named' });
  },
  'conn.tpcBegin() whose signal is aborted': async (front) => {
    const conn = await front.connect();
    const controller = new AbortController();
    front.proxy.onChunk = (direction, chunk) => {
      if (direction === 'down' && chunk.includes('BEGIN')) controller.abort(mine);
      if (direction === 'up' && chunk.includes('ROLLBACK')) front.fallSilent();
    };
    await conn.tpcBegin('silent-rollback', { signal: controller.signal });
  },
  'conn.withPipeline()': async (front) => {
    const conn = await front.connect();
    await conn.withPipeline(async () => {
      front.fallSilent();
      await conn.execute('select 1');
      throw mine;
    });
  },
  'cur.executemany() of its own transaction': async (front) => {
    const conn = await front.connect({ autocommit: true });
    front.fallSilentAt('ROLLBACK');
    async function* source(): AsyncGenerator<[number]> {
      for (let i = 0; i < 2500; i++) yield [i];
      throw mine;
    }
    await conn.cursor().executemany('select %s::int', source());
  },
  'TypeInfo.fetch() that fails within a transaction': async (front) => {
    const conn = await front.connect();
    await conn.execute('select 1');
    front.fallSilentAt('ROLLBACK TO');
    // The name has too many parts.
    await TypeInfo.fetch(conn, 'a.b.c.d.e').catch(() => undefined);
    throw mine;
  },
  'the scope of a server-side cursor': async (front) => {
    const conn = await front.connect();
    await using cur = conn.cursor({ name: 'silent' });
    await cur.execute('select 1');
    front.fallSilent();
    throw mine;
  },
  'the scope of a server-side cursor while a statement runs': async (front) => {
    const conn = await front.connect();
    await using cur = conn.cursor({ name: 'silent' });
    await cur.execute('select 1');
    front.fallSilent();
    void conn.execute('select 2').catch(() => undefined);
    throw mine;
  },
  'the scope of a cursor whose statement runs': async (front) => {
    const conn = await front.connect();
    await using cur = conn.cursor();
    front.fallSilent();
    void cur.execute('select 2').catch(() => undefined);
    throw mine;
  },
  'the loop over a stream': async (front) => {
    const conn = await front.connect();
    for await (const row of conn.cursor().stream('select generate_series(1, 1000000)')) {
      front.fallSilent();
      if (row.length > 0) throw mine;
    }
  },
  'cur.withCopy() from the client': async (front) => {
    const conn = await front.connect();
    await conn.execute('create temporary table silent_copy (id int)');
    await conn.cursor().withCopy('copy silent_copy from stdin', async (copy) => {
      await copy.writeRow([1]);
      front.fallSilent();
      throw mine;
    });
  },
  'cur.withCopy() to the client': async (front) => {
    const conn = await front.connect();
    await conn.cursor().withCopy('copy (select generate_series(1, 1000000)) to stdout', async (copy) => {
      await copy.read();
      front.fallSilent();
      throw mine;
    });
  },
  'AsyncConnection.withConnection()': async (front) => {
    await AsyncConnection.withConnection(front.conninfo, async (conn) => {
      await conn.execute('select 1');
      front.fallSilent();
      throw mine;
    });
  },
  'the scope of a connection whose statement runs': async (front) => {
    await using conn = await AsyncConnection.connect(front.conninfo);
    front.fallSilent();
    void conn.execute('select 1').catch(() => undefined);
    throw mine;
  },
  'pool.withConnection()': async (front) => {
    const pool = front.pool();
    const left = await rejection(pool.withConnection((conn) => fail(front, conn)));
    await front.serves(pool);
    throw left;
  },
  'pool.withTransaction()': async (front) => {
    const pool = front.pool();
    const left = await rejection(pool.withTransaction((conn) => fail(front, conn)));
    await front.serves(pool);
    throw left;
  },
  'pool.withTransaction() while a statement runs': async (front) => {
    const pool = front.pool();
    const work = pool.withTransaction(async (conn) => {
      await conn.execute('select 1');
      front.fallSilent();
      void conn.execute('select 2').catch(() => undefined);
      throw mine;
    });
    const left = await rejection(work);
    await front.serves(pool);
    throw left;
  },
  'the scope of a connection of a pool': async (front) => {
    const pool = front.pool();
    const work = async (): Promise<void> => {
      await using conn = await pool.connection();
      await fail(front, conn);
    };
    const left = await rejection(work());
    await front.serves(pool);
    throw left;
  },
  'a `check` that leaves a transaction': async (front) => {
    const pool = front.pool({
      check: async (conn) => {
        await conn.execute('select 1');
      },
      checkAfter: 0,
      checkTimeout: 0,
    });
    await pool.wait();
    front.fallSilentAt('ROLLBACK');
    const waiting = pool.execute('select 1');
    await expect.poll(() => pool.getStats().connectionsLost, { timeout: 60_000 }).toBe(1);
    await front.serves(pool);
    await waiting;
    throw mine;
  },
  "Kysely's transaction()": async (front) => {
    const pool = front.pool();
    const db = new Kysely({ dialect: new UsingpgDialect({ pool }) });
    const work = db.transaction().execute(async (trx) => {
      await kyselySql`select 1`.execute(trx);
      front.fallSilentAt('ROLLBACK');
      throw mine;
    });
    const left = await rejection(work);
    await front.serves(pool);
    throw left;
  },
  "Drizzle's transaction()": async (front) => {
    const pool = front.pool();
    const work = drizzle(pool).transaction(async (tx) => {
      await tx.execute(sql`select 1`);
      front.fallSilentAt('ROLLBACK');
      throw mine;
    });
    const left = await rejection(work);
    await front.serves(pool);
    throw left;
  },
};

it('a scope that is left while the server is silent ends, with the error it was left by, through every door', async () => {
  // Each waits for the limit, so they wait together.
  const left = await Promise.all(
    Object.entries(DOORS).map(async ([name, leave]) => {
      const front = await Front.open();
      const error = await leave(front).then(
        () => 'no error',
        (thrown: unknown) => thrown,
      );
      front.proxy.resetAll();
      return [name, originOf(error)] as const;
    }),
  );
  expect(Object.fromEntries(left)).toEqual(
    Object.fromEntries(Object.keys(DOORS).map((name) => [name, mine])),
  );
});

it('a rollback that a user asks for is bounded by its signal on a silent network', async () => {
  const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(500) });
  const calls: readonly ((conn: AsyncConnection) => Promise<void>)[] = [
    async (conn) => {
      await conn.execute('select 1');
      return conn.rollback(soon());
    },
    async (conn) => {
      const tx = await conn.transaction();
      await conn.execute('select 1');
      return tx.rollback(soon());
    },
  ];
  await Promise.all(
    calls.map(async (call) => {
      const front = await Front.open();
      const conn = await front.connect();
      front.fallSilentAt('ROLLBACK');
      const error = await rejection(call(conn));
      expect(error.message).toContain('did not answer a cancel request');
      expect(conn.broken).toBe(true);
      front.proxy.resetAll();
    }),
  );
});

it('a server that answers a ROLLBACK late, but within the limit, loses nothing', async () => {
  const front = await Front.open();
  const pool = front.pool();
  const before = (await pool.execute('select pg_backend_pid()')).rows;
  const work = pool.withTransaction(async (conn) => {
    await conn.execute('select 1');
    front.proxy.latency = 1;
    throw mine;
  });
  await expect(work).rejects.toBe(mine);
  front.proxy.latency = 0;
  expect((await pool.execute('select pg_backend_pid()')).rows).toEqual(before);
});

it('a statement that outlasts its block by more than the limit is cancelled, and the connection lives', async () => {
  const conn = await connect();
  let running: Promise<unknown> = Promise.resolve();
  const work = conn.withTransaction(async () => {
    running = rejection(conn.execute('select pg_sleep(600)'));
    throw mine;
  });
  await expect(work).rejects.toBe(mine);
  expect(((await running) as Error).message).toContain(
    'the transaction block that it was begun in has been left',
  );
  expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
  expect(await (await conn.execute('select 1')).fetchone()).toEqual([1]);
});

it('a server-side cursor that is closed while a statement runs for longer than the limit costs neither', async () => {
  const conn = await connect();
  const cur = conn.cursor({ name: 'behind' });
  await cur.execute('select 1');
  const slow = conn.execute(`select pg_sleep(${String(limitsFor(0).ending + 3)})`);
  await cur.close();
  await slow;
  const left = await conn.execute("select count(*)::int from pg_cursors where name = 'behind'");
  expect(await left.fetchone()).toEqual([0]);
  expect(conn.broken).toBe(false);
});

it('a process that stands still for longer than the limit reads the answer to its ROLLBACK', async () => {
  const conn = await connect();
  const rolledBack = conn.withTransaction(async () => {
    await conn.execute('select 1');
    setImmediate(() => {
      // The ROLLBACK has been sent.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, (limitsFor(0).ending + 1) * 1000);
    });
    throw mine;
  });
  await expect(rolledBack).rejects.toBe(mine);
  expect(conn.broken).toBe(false);
  expect(await (await conn.execute('select 1')).fetchone()).toEqual([1]);
});
