import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  errors,
  makeConninfo,
  type AsyncCursor,
} from '../../src/index.js';
import { CertificateAuthority } from '../support/certificates.js';
import { rejection } from '../support/database.js';
import { messages, welcome } from '../support/fake-server.js';
import { startOwnServer, type OwnServer } from '../support/server.js';

// The server ends a session while the client is not reading. When the client writes next, the server has sent its error and
// closed the connection, so that the write fails with EPIPE or ECONNRESET before the error is read.

let server: OwnServer;
let admin: AsyncConnection;

beforeAll(async () => {
  const authority = await CertificateAuthority.create('usingpg test authority');
  const { cert, key } = await authority.issue({ name: 'localhost' });
  server = await startOwnServer({
    settings: { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' },
    files: { 'server.crt': cert, 'server.key': key },
    sql: 'CREATE TABLE told (id int PRIMARY KEY, text text)',
  });
  admin = await AsyncConnection.connect(server.dsn, { autocommit: true });
});
afterAll(async () => {
  await admin.close();
  await server.stop();
});

const TRANSPORTS = ['Unix socket', 'TCP', 'TLS'] as const;

function conninfo(transport: (typeof TRANSPORTS)[number]): string {
  switch (transport) {
    case 'Unix socket':
      return makeConninfo(server.dsn, { host: server.socketDirectory! });
    case 'TCP':
      return makeConninfo(server.dsn, { sslmode: 'disable' });
    case 'TLS':
      return makeConninfo(server.dsn, { sslmode: 'require' });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Blocks the event loop. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Ends the backend of `conn`; its error message is not read before this returns. */
async function endUnread(conn: AsyncConnection): Promise<void> {
  const pid = conn.info.backendPid;
  // The connection is paused, since it would be closed as soon as the message is read.
  const killing = admin.execute('SELECT pg_terminate_backend(%s)', [pid]);
  killing.catch(() => undefined);
  // The request has been sent.
  for (let i = 0; i < 5; i++) await Promise.resolve();
  const deadline = performance.now() + 20_000;
  while (isAlive(pid)) {
    if (performance.now() > deadline) throw new Error('the backend does not end');
    block(5);
  }
  onTestFinished(async () => {
    await killing;
  });
}

type Act = (cursor: AsyncCursor) => Promise<unknown>;

/** Operations that begin before the server ends the session, and operations that encounter the end. */
const DOORS: Record<string, { before?: (conn: AsyncConnection) => Promise<Act>; act?: Act }> = {
  'a statement': { act: (cursor) => cursor.execute('SELECT %s', [1]) },
  'a statement without parameters': { act: (cursor) => cursor.execute('SELECT 1') },
  'several statements in one text': { act: (cursor) => cursor.execute('SELECT 1; SELECT 2') },
  'a prepared statement': {
    before: async (conn) => {
      await conn.execute('SELECT %s::int', [1], { prepare: true });
      return (cursor) => cursor.execute('SELECT %s::int', [2], { prepare: true });
    },
  },
  'two statements at once': {
    act: async ({ connection }) => {
      const second = connection.execute('SELECT 2');
      const first = rejection(connection.execute('SELECT %s', [1]));
      await rejection(second);
      throw await first;
    },
  },
  'a statement behind one that has been written': {
    act: async ({ connection }) => {
      const first = rejection(connection.execute('SELECT %s', [1]));
      for (let i = 0; i < 5; i++) await Promise.resolve();
      // In the meantime the server's system refuses the connection.
      block(50);
      await connection.execute('SELECT 2').finally(() => first);
    },
  },
  'executemany()': {
    act: (cursor) => cursor.executemany('INSERT INTO told VALUES (%s)', [[1], [2]]),
  },
  'a pipeline': {
    act: ({ connection }) =>
      connection.withPipeline(async () => {
        await connection.execute('SELECT 1');
        await connection.execute('SELECT 2');
      }),
  },
  'stream()': {
    act: async (cursor) => {
      for await (const row of cursor.stream('SELECT 1')) expect(row).toBeDefined();
    },
  },
  'a stream under way': {
    before: async (conn) => {
      const rows = conn.cursor().stream('SELECT generate_series(1, 100000)', null, { size: 1 });
      await rows.next();
      return async () => {
        for await (const row of rows) expect(row).toBeDefined();
      };
    },
  },
  'copy()': { act: (cursor) => cursor.copy('COPY told FROM STDIN') },
  'a COPY FROM under way': {
    before: async (conn) => {
      const copy = await conn.cursor().copy('COPY told FROM STDIN');
      return async () => {
        for (let i = 0; i < 1000; i++) await copy.writeRow([i, 'x'.repeat(1000)]);
        await copy.finish();
      };
    },
  },
  'the end of a COPY FROM': {
    before: async (conn) => {
      const copy = await conn.cursor().copy('COPY told FROM STDIN');
      await copy.writeRow([1, 'one']);
      return () => copy.finish();
    },
  },
  'a server-side cursor': {
    before: async (conn) => {
      await conn.execute('BEGIN');
      const cursor = conn.cursor({ name: 'told' });
      await cursor.execute('SELECT generate_series(1, 1000)');
      return () => cursor.fetchone();
    },
  },
  'commit()': {
    before: async (conn) => {
      await conn.execute('BEGIN');
      await conn.execute('SELECT 1');
      return () => conn.commit();
    },
  },
};

describe.each(TRANSPORTS)('over %s, the server’s last error', (transport) => {
  it.each(Object.keys(DOORS))('is the error of %s, and of all later statements', async (door) => {
    const conn = await AsyncConnection.connect(conninfo(transport), { autocommit: true });
    onTestFinished(() => conn.close());
    expect(conn.info.sslInUse).toBe(transport === 'TLS');
    const { before, act } = DOORS[door]!;
    const run = act ?? (await before!(conn));
    await endUnread(conn);
    const error = await rejection(run(conn.cursor()));
    // It is unknown whether a COMMIT succeeded before.
    const reason = error instanceof errors.TransactionOutcomeUnknown ? error.cause : error;
    expect(reason).toBeInstanceOf(errors.AdminShutdown);
    expect(conn.info.errorMessage).toMatch(/terminating connection/);
    expect(await rejection(conn.execute('SELECT 1'))).toBeInstanceOf(errors.AdminShutdown);
    expect(conn.broken).toBe(true);
  });

  it('is the error of pool.execute(), and the pool goes on', async () => {
    await using pool = new AsyncConnectionPool(conninfo(transport), { minSize: 1, maxSize: 1 });
    const conn = await pool.getconn();
    await endUnread(conn);
    await pool.putconn(conn);
    // A connection known to be lost is not lent again, but this loss is not known yet.
    const outcome = await pool.execute('SELECT 1').catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(errors.AdminShutdown);
    expect((await pool.execute('SELECT 2')).rows).toEqual([[2]]);
  });
});

describe('a server that refuses clients without reading', () => {
  it.each(['Unix socket', 'TCP'])('is reported with its error, over %s', async (transport) => {
    const directory = mkdtempSync(join(tmpdir(), 'usingpg-refusing-'));
    const refusal = messages.error('FATAL', '53300', 'sorry, too many clients already');
    const refusing = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(refusal);
      socket.destroySoon();
    });
    const port = await new Promise<number>((resolve) => {
      const listening = (): void => {
        const address = refusing.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 5432);
      };
      if (transport === 'TCP') refusing.listen(0, '127.0.0.1', listening);
      else refusing.listen(join(directory, '.s.PGSQL.5432'), listening);
    });
    try {
      const host = transport === 'TCP' ? '127.0.0.1' : directory;
      for (let i = 0; i < 20; i++) {
        const error = await rejection(
          AsyncConnection.connect({ host, port, user: 'u', dbname: 'd', sslmode: 'disable' }),
        );
        expect(error.sqlstate).toBe('53300');
      }
    } finally {
      await new Promise((resolve) => refusing.close(resolve));
      rmSync(directory, { recursive: true });
    }
  });
});

describe('a server that ends an idle session and resets the connection', () => {
  it('is reported by info.errorMessage and by the next statement', async () => {
    let client!: Socket;
    const said = createServer((socket) => {
      client = socket;
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(welcome()));
    });
    await new Promise<void>((resolve) => said.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = said.address() as { port: number };
      const conn = await AsyncConnection.connect({
        host: '127.0.0.1',
        port,
        user: 'u',
        dbname: 'd',
        sslmode: 'disable',
      });
      client.write(
        messages.error('FATAL', '57P05', 'terminating connection due to idle-session timeout'),
        () => {
          // libuv reports data and a reset that arrive together as an end of file.
          setTimeout(() => client.resetAndDestroy(), 20);
        },
      );
      await expect.poll(() => conn.closed).toBe(true);
      expect(conn.info.errorMessage).toBe('terminating connection due to idle-session timeout');
      expect(await rejection(conn.execute('SELECT 1'))).toMatchObject({ sqlstate: '57P05' });
      await conn.close();
    } finally {
      await new Promise((resolve) => said.close(resolve));
    }
  });
});
