import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { AsyncConnection, conninfoToDict, errors, type AsyncCursor } from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';
import {
  FakeServer,
  int32,
  message,
  messages,
  misbehaviour,
  welcome,
  type FakeClient,
} from '../support/fake-server.js';
import { record } from '../support/recording.js';
import { freePort, PASSWORD_ROLE } from '../support/server.js';

async function rejection(promise: Promise<unknown>): Promise<errors.Error> {
  return promise.then(
    () => {
      throw new Error('it should have been rejected');
    },
    (error: unknown) => error as errors.Error,
  );
}

describe('a server that misbehaves in startup', () => {
  for (const name of ['closing', 'resetting'] as const) {
    it(`is abandoned at once when it is ${name}, without another attempt`, async () => {
      await using server = await FakeServer.running(misbehaviour[name]);
      const error = await rejection(
        AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u dbname=d`),
      );
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(server.accepted).toBe(1);
    });
  }

  it('that speaks another protocol is reported as such', async () => {
    await using server = await FakeServer.running(misbehaviour.garbage);
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`),
    );
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/does not speak the PostgreSQL protocol/);
    expect(server.accepted).toBe(1);
  });

  it('that sends nothing is abandoned after connect_timeout', async () => {
    await using server = await FakeServer.running(misbehaviour.silent);
    const began = performance.now();
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u connect_timeout=2`),
    );
    expect(error).toBeInstanceOf(errors.ConnectionTimeout);
    expect(error.message).toContain('2 seconds');
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it('that sends nothing is abandoned when the signal is aborted, with its reason', async () => {
    await using server = await FakeServer.running(misbehaviour.silent);
    const reason = new Error('enough');
    const connecting = AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`, {
      signal: AbortSignal.any([AbortSignal.timeout(50)].map((signal) => mapReason(signal, reason))),
    });
    expect(await rejection(connecting)).toBe(reason);
  });

  it('that requests an unknown authentication method is refused by its name', async () => {
    await using server = await FakeServer.running(async (client) => {
      await client.until(1);
      client.send(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7]));
    });
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`),
    );
    expect(error).toBeInstanceOf(errors.NotSupportedError);
    expect(error.message).toContain('authentication method 7');
  });

  it('that requests a missing password is refused before anything is sent', async () => {
    await using server = await FakeServer.running(async (client) => {
      await client.until(1);
      client.send(messages.authenticationSasl);
    });
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`),
    );
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/asks for a password/);
  });

  describe('at one of 12 positions in a handshake', () => {
    const PLACES = 12;
    const RUNS = 20;
    const TIMEOUT = 4;
    const endings: Readonly<Record<string, (socket: Socket) => void>> = {
      'closes the connection': (socket) => socket.end(),
      'resets the connection': (socket) => socket.resetAndDestroy(),
      'sends garbage': (socket) => socket.write(Buffer.from(Array.from({ length: 64 }, (_, i) => 251 * i))),
      'falls silent': () => undefined,
    };
    let handshake: Buffer;

    beforeAll(async () => {
      const { host, port } = conninfoToDict(inject('dsn'));
      const recording = await record({ host: host!, port: Number(port) }, async (through) => {
        await using _connection = await connectTo(through);
      });
      handshake = Buffer.concat(recording.map(({ bytes }) => bytes));
    });

    function connectTo(port: number): Promise<AsyncConnection> {
      const params = { host: '127.0.0.1', port, sslmode: 'disable', connect_timeout: TIMEOUT };
      return AsyncConnection.connect(dsn(params));
    }

    it.each(Object.keys(endings))('%s: it is abandoned in time, after one attempt', async (ending) => {
      const runs = Array.from({ length: PLACES * RUNS }, (_, run) => run % PLACES);
      let ended = 0;
      const outcomes = runs.map(async (place) => {
        await using server = await FakeServer.running(async (client) => {
          await client.until(8);
          client.send(handshake.subarray(0, Math.floor((handshake.length * place) / PLACES)));
          await sleep(10);
          endings[ending]!(client.socket);
          ended++;
        });
        const began = performance.now();
        const error = await rejection(connectTo(server.port));
        expect(error).toBeInstanceOf(errors.OperationalError);
        expect(performance.now() - began).toBeLessThan(TIMEOUT * 1000 + 20_000);
        expect(server.accepted).toBe(1);
      });
      const settled = Promise.all(outcomes);
      if (ending === 'falls silent') {
        // All of them wait, which takes no work.
        await expect.poll(() => ended).toBe(runs.length);
        const before = process.cpuUsage();
        await sleep(500);
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 500_000).toBeLessThan(0.5);
      }
      await settled;
    });
  });
});

function mapReason(signal: AbortSignal, reason: Error): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => {
    controller.abort(reason);
  });
  return controller.signal;
}

describe('what can be wrong with the address', () => {
  it('a port without a server', async () => {
    const error = await rejection(
      AsyncConnection.connect(dsn({ host: '127.0.0.1', port: await freePort() })),
    );
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/connection refused/);
  });

  it('a host that does not exist', async () => {
    const error = await rejection(AsyncConnection.connect(dsn({ host: 'nowhere.invalid' })));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/could not be resolved/);
  });

  it('a socket that does not exist', async () => {
    const error = await rejection(AsyncConnection.connect(dsn({ host: '/nowhere' })));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/no such socket/);
  });

  it('a database that does not exist, with its SQLSTATE', async () => {
    const error = await rejection(AsyncConnection.connect(dsn({ dbname: 'nowhere' })));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.sqlstate).toBe('3D000');
    expect(error.cause).toBeInstanceOf(errors.InvalidCatalogName);
  });

  it.skipIf(process.env['DATABASE_URL'] !== undefined)(
    'a wrong password, which the message does not contain',
    async () => {
      const { user, password } = PASSWORD_ROLE;
      const right = await AsyncConnection.connect(dsn({ user, password }));
      expect(right.info.user).toBe(user);
      await right.close();
      const error = await rejection(AsyncConnection.connect(dsn({ user, password: 'hunter2' })));
      expect(error).toBeInstanceOf(errors.InvalidPassword);
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(`${error.message} ${String(error.stack)} ${JSON.stringify(error)}`).not.toContain('hunter2');
    },
  );

  it('a connection that is ready and then sends garbage is lost, with the reason', async () => {
    await using server = await FakeServer.running(async (client) => {
      await client.until(8);
      const startup = client.received().length;
      client.send(welcome());
      // The empty query that ends the startup.
      await client.until(startup + 6);
      client.send(Buffer.from([0x49, 0, 0, 0, 4]), messages.readyForQuery('I'));
      const before = client.received().length;
      await client.until(before + 1);
      client.send(Buffer.from('garbage'));
    });
    const connection = await AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`, {
      autocommit: true,
    });
    const error = await rejection(connection.execute('select 1'));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/does not speak the PostgreSQL protocol/);
    expect(connection.broken).toBe(true);
    await connection.close();
  });
});

describe('a server that sends further messages during startup', () => {
  const notice = message('N', 'SNOTICE\0VNOTICE\0C00000\0Mwelcome\0\0');
  const notification = message('A', int32(4242), 'channel\0payload\0');
  const parts = [
    messages.authenticationOk,
    messages.parameterStatus('server_version', '18.0'),
    messages.parameterStatus('client_encoding', 'UTF8'),
    messages.backendKeyData(4242, 2424),
    messages.readyForQuery('I'),
  ];

  it.each([
    ['a notice', notice],
    ['a notification', notification],
  ])('may send %s at any moment', async (kind, saying) => {
    for (let at = kind === 'a notice' ? 0 : 1; at <= parts.length; at++) {
      await using server = await FakeServer.running(async (client) => {
        await client.until(1);
        client.send(...parts.slice(0, at), saying, ...parts.slice(at));
      });
      const conn = await AsyncConnection.connect(
        `host=127.0.0.1 port=${String(server.port)} user=u dbname=d`,
      );
      expect(conn.info.backendPid).toBe(4242);
      await conn.close();
    }
  });

  it('does so by a login trigger', async ({ skip }) => {
    const conn = await connect({ autocommit: true });
    if (conn.info.serverVersion < 170000) skip();
    const dbname = `login_${String(process.pid)}`;
    await admin(`CREATE DATABASE ${dbname}`);
    try {
      const owner = await AsyncConnection.connect(dsn({ dbname }), { autocommit: true });
      await owner.execute(`CREATE FUNCTION greet() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE NOTICE 'hello'; EXECUTE 'LISTEN greetings'; PERFORM pg_notify('greetings', 'hello'); END $$`);
      await owner.execute('CREATE EVENT TRIGGER greeting ON login EXECUTE FUNCTION greet()');
      await owner.execute('ALTER EVENT TRIGGER greeting ENABLE ALWAYS');
      await owner.close();
      for (let i = 0; i < 5; i++) {
        const greeted = await AsyncConnection.connect(dsn({ dbname }), { autocommit: true });
        expect(await (await greeted.execute('SELECT 1')).fetchone()).toEqual([1]);
        await greeted.close();
      }
    } finally {
      await admin(`DROP DATABASE ${dbname} WITH (FORCE)`);
    }
  });
});

describe('a message that answers no request', () => {
  it.each([
    ['nothing', 'no answer was awaited', (): Promise<unknown> | null => null],
    [
      'a statement',
      "the answer to 'SELECT 42' was awaited",
      (conn: AsyncConnection): Promise<unknown> => conn.execute('SELECT 42'),
    ],
  ])('is reported with what was in flight: %s', async (_, awaited, act) => {
    let client!: FakeClient;
    await using server = await FakeServer.running(async (connected) => {
      client = connected;
      await connected.until(1);
      connected.send(welcome());
    });
    const conn = await AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u dbname=d`, {
      autocommit: true,
    });
    const sent = client.received().length;
    const running = act(conn)?.catch((error: unknown) => error);
    if (running !== undefined) await client.until(sent + 1);
    client.send(message('z', 'nonsense'));
    await expect.poll(() => conn.closed).toBe(true);
    await running;
    expect(conn.info.errorMessage).toContain(awaited);
    expect(conn.info.errorMessage).toContain('which would be a bug');
  });

  it('rejects each statement of a pipeline with the server’s last error', async () => {
    let client!: FakeClient;
    await using server = await FakeServer.running(async (connected) => {
      client = connected;
      await connected.until(1);
      connected.send(welcome());
    });
    const conn = await AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u dbname=d`, {
      autocommit: true,
    });
    const sent = client.received().length;
    const cursors: AsyncCursor[] = [];
    const error = await rejection(
      conn.withPipeline(async () => {
        for (let i = 0; i < 5; i++) cursors.push(await conn.execute('SELECT %s', [i]));
        await client.until(sent + 1);
        client.send(messages.error('FATAL', '57P01', 'terminating connection due to administrator command'));
        client.socket.end();
        await expect.poll(() => conn.closed).toBe(true);
      }),
    );
    expect(error).toBeInstanceOf(errors.AdminShutdown);
    for (const cursor of cursors)
      expect(await rejection(cursor.fetchone())).toBeInstanceOf(errors.AdminShutdown);
  });
});
