import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  errors,
  type AsyncConnection,
  type AsyncConnectionPool,
  type AsyncCopy,
  type AsyncCursor,
} from '../../src/index.js';
import { admin, connect, makePool, terminate } from '../support/database.js';

const MINE = new Error('mine');
/** Few rows with many bytes, which the server soon has sent. */
const MANY_BYTES = Buffer.from(`${'x'.repeat(2 ** 20)}\n`.repeat(4));

interface Open {
  readonly conn: AsyncConnection;
  readonly cur: AsyncCursor;
  readonly copy: AsyncCopy;
}

/** Begins a COPY on a connection and returns its stream. */
interface Begin {
  /** The statement, for ways that begin the COPY themselves. */
  readonly statement: string;
  readonly on: (conn: AsyncConnection, options?: { signal?: AbortSignal }) => Promise<Open>;
  readonly opened: (open: Open) => Promise<void>;
}

type Way = (begin: Begin) => Promise<unknown>;

/** Every way in which a COPY is left before its end. */
const WAYS: Readonly<Record<string, Way>> = {
  'copy.abort()': async ({ on }) => (await on(await connect())).copy.abort(),
  'the scope of the COPY': async ({ on }) => {
    await using _copy = (await on(await connect())).copy;
  },
  'withCopy() throws': async ({ statement, opened }) => {
    const conn = await connect();
    const cur = conn.cursor();
    await cur.withCopy(statement, async (copy) => {
      await opened({ conn, cur, copy });
      throw MINE;
    });
  },
  'cur.close()': async ({ on }) => (await on(await connect())).cur.close(),
  'the scope of the cursor': async ({ on }) => {
    await using _cur = (await on(await connect())).cur;
  },
  'conn.close()': async ({ on }) => (await on(await connect())).conn.close(),
  'the scope of the connection': async ({ on }) => {
    await using _conn = (await on(await connect())).conn;
  },
  'withTransaction() throws': async ({ on }) => {
    const conn = await connect();
    await conn.withTransaction(async () => {
      await on(conn);
      throw MINE;
    });
  },
  'withTransaction() throws, within another': async ({ on }) => {
    const conn = await connect({ autocommit: true });
    await conn.withTransaction(() =>
      conn.withTransaction(async () => {
        await on(conn);
        throw MINE;
      }),
    );
  },
  'the scope of the transaction': async ({ on }) => {
    const conn = await connect();
    await using _tx = await conn.transaction();
    await on(conn);
  },
  'pool.withConnection() throws': ({ on }) =>
    makePool().withConnection(async (conn) => {
      await on(conn);
      throw MINE;
    }),
  'pool.withConnection() returns': ({ on }) => makePool().withConnection((conn) => on(conn)),
  'pool.withTransaction() throws': ({ on }) =>
    makePool().withTransaction(async (conn) => {
      await on(conn);
      throw MINE;
    }),
  'a job of pool.map() throws': ({ on }) =>
    makePool().map([1], async (conn) => {
      await on(conn);
      throw MINE;
    }),
  'pool.putconn()': async ({ on }) => {
    const pool = makePool();
    await pool.putconn((await on(await pool.getconn())).conn);
  },
  'close() with closeReturns': async ({ on }) => {
    await (await on(await makePool({ closeReturns: true }).connection())).conn.close();
  },
  'the scope of a pooled connection': async ({ on }) => {
    await using conn = await makePool().connection();
    await on(conn);
  },
  'pool.close(0)': async ({ on }) => {
    const pool = makePool();
    await on(await pool.connection());
    await pool.close(0);
  },
  'the scope of the pool': async ({ on }) => {
    await using pool: AsyncConnectionPool = makePool();
    await using conn = await pool.connection();
    await on(conn);
  },
  'the signal of the COPY': async ({ on }) => {
    const controller = new AbortController();
    await on(await connect(), { signal: controller.signal });
    controller.abort(MINE);
  },
  'conn.cancelSafe()': async ({ on }) => (await on(await connect())).conn.cancelSafe(),
};

/** Records the events of a stream, including 'error', which would end the process without a listener. */
function emitted(stream: Readable | Writable): unknown[] {
  const seen: unknown[] = [];
  const emit = stream.emit.bind(stream) as (name: string | symbol, ...details: unknown[]) => boolean;
  stream.emit = (name: string | symbol, ...details: unknown[]): boolean => {
    if (name !== 'error') return emit(name, ...details);
    seen.push(details[0]);
    return true;
  };
  return seen;
}

/** Streams in different states. Several megabytes take the network more than a turn of the event loop. */
const STREAMS: Readonly<
  Record<string, { statement: string; open: (copy: AsyncCopy) => Readable | Writable }>
> = {
  'an idle writable()': { statement: 'COPY left_streams FROM STDIN', open: (copy) => copy.writable() },
  'a writable() in the middle of a write': {
    statement: 'COPY left_streams FROM STDIN',
    open: (copy) => {
      const writable = copy.writable();
      for (let i = 0; i < 2; i++) writable.write(MANY_BYTES);
      return writable;
    },
  },
  'a writable() at its end': {
    statement: 'COPY left_streams FROM STDIN',
    open: (copy) => {
      const writable = copy.writable();
      writable.write(MANY_BYTES);
      writable.end();
      return writable;
    },
  },
  'an idle readable()': {
    statement: "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 200000)) TO STDOUT",
    open: (copy) => copy.readable(),
  },
  'an idle readable() of which all has come': {
    statement: "COPY (SELECT 'x') TO STDOUT",
    open: (copy) => copy.readable(),
  },
  'a readable() that is read': {
    statement: "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 200000)) TO STDOUT",
    open: (copy) => copy.readable().resume(),
  },
  'a readable() that waits for the server': {
    statement: `COPY (SELECT repeat('x', 10000), CASE n WHEN 5 THEN pg_sleep(60) END FROM generate_series(1, 5) n) TO STDOUT`,
    open: (copy) => copy.readable().resume(),
  },
};

beforeAll(async () => {
  await admin('CREATE TABLE left_streams (t text)');
});
afterAll(async () => {
  await admin('DROP TABLE left_streams');
});

describe.each(Object.entries(STREAMS))('%s', (name, { statement, open }) => {
  // If all data has arrived, nothing remains on the server that a block or an abort could end.
  const isOver = name.endsWith('of which all has come');
  const ways = Object.entries(WAYS).filter(
    ([way]) => !(isOver && /Transaction\(\) throws|of the transaction|signal|cancelSafe/.test(way)),
  );

  test.each(ways)('is destroyed without an error event by %s', async (_way, leave) => {
    const streams: { stream: Readable | Writable; seen: unknown[] }[] = [];
    const connections: AsyncConnection[] = [];
    const opened = async ({ conn, copy }: Open): Promise<void> => {
      connections.push(conn);
      // By now a short answer has arrived completely.
      if (isOver) await new Promise((resolve) => setTimeout(resolve, 20));
      const stream = open(copy);
      streams.push({ stream, seen: emitted(stream) });
    };
    const on: Begin['on'] = async (conn, options = {}) => {
      const cur = conn.cursor();
      const copy = await cur.copy(statement, null, options);
      await opened({ conn, cur, copy });
      return { conn, cur, copy };
    };
    await leave({ statement, on, opened }).catch((error: unknown) => {
      if (error !== MINE) expect(error).toBeInstanceOf(errors.Error);
    });
    const [{ stream, seen }] = streams as [(typeof streams)[0]];
    await expect.poll(() => stream.closed, { timeout: 5000 }).toBe(true);
    expect(stream.destroyed).toBe(true);
    expect(seen).toEqual([]);
    // A stream that was ended may have completed before it is left.
    if (!name.endsWith('at its end')) expect(await admin('SELECT 1 FROM left_streams LIMIT 1')).toEqual([]);
    // A COPY that has completed leaves its transaction open, which would block the next statement.
    for (const conn of connections.filter(({ closed }) => !closed)) {
      await conn.rollback();
      await conn.close();
    }
    await admin('TRUNCATE left_streams');
  });

  test.skipIf(isOver || name.endsWith('at its end'))(
    'emits the error of a backend that is lost',
    async () => {
      const conn = await connect();
      const stream = open(await conn.cursor().copy(statement));
      const seen = emitted(stream);
      await terminate(conn.info.backendPid);
      // A blocked server does not see its end.
      if ('resume' in stream) stream.resume();
      await expect.poll(() => seen, { timeout: 5000 }).toHaveLength(1);
      // A server that is blocked while writing ends without an error message.
      const expected = 'resume' in stream ? errors.OperationalError : errors.AdminShutdown;
      expect(seen[0]).toBeInstanceOf(expected);
      expect(stream.destroyed).toBe(true);
    },
  );
});

describe('the server’s error of a COPY', () => {
  test('is emitted by writable(), before more is written', async () => {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE number (n int)');
    const stream = (await conn.cursor().copy('COPY number FROM STDIN')).writable();
    const seen = emitted(stream);
    stream.write('none\n'.repeat(50_000));
    await expect.poll(() => seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ sqlstate: '22P02' });
  });

  test('is emitted by readable(), whether it is read or not', async () => {
    for (const begin of [(stream: Readable) => stream, (stream: Readable) => stream.resume()]) {
      const conn = await connect();
      const stream = (
        await conn.cursor().copy('COPY (SELECT 1 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT')
      ).readable();
      const seen = emitted(begin(stream));
      await expect.poll(() => seen).toHaveLength(1);
      expect(seen[0]).toMatchObject({ sqlstate: '22012' });
    }
  });
});

describe('pipeline()', () => {
  test('rejects if the COPY was left, which is not the end of the data', async () => {
    const conn = await connect();
    const copy = await conn
      .cursor()
      .copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 200000)) TO STDOUT");
    const target = new PassThrough();
    const rejected = expect(pipeline(copy.readable(), target)).rejects.toMatchObject({
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
    await conn.close();
    await rejected;
  });

  test('rejects with the reason of the signal that a COPY was given', async () => {
    const conn = await connect();
    const controller = new AbortController();
    const copy = await conn
      .cursor()
      .copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 200000)) TO STDOUT", null, {
        signal: controller.signal,
      });
    const rejected = expect(pipeline(copy.readable(), new PassThrough())).rejects.toBe(MINE);
    controller.abort(MINE);
    await rejected;
  });
});
