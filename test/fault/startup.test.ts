import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { AsyncConnection, conninfoToDict, errors } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { FakeServer, messages, misbehaviour, welcome } from '../support/fake-server.js';
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
    it(`is given up at once when it is ${name}, without another attempt`, async () => {
      await using server = await FakeServer.running(misbehaviour[name]);
      const error = await rejection(
        AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u dbname=d`),
      );
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(server.accepted).toBe(1);
    });
  }

  it('that talks another protocol is named as such', async () => {
    await using server = await FakeServer.running(misbehaviour.garbage);
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`),
    );
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/does not speak the PostgreSQL protocol/);
    expect(server.accepted).toBe(1);
  });

  it('that says nothing is given up after connect_timeout', async () => {
    await using server = await FakeServer.running(misbehaviour.silent);
    const began = performance.now();
    const error = await rejection(
      AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u connect_timeout=2`),
    );
    expect(error).toBeInstanceOf(errors.ConnectionTimeout);
    expect(error.message).toContain('2 seconds');
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it('that says nothing is left when the signal is aborted, with its reason', async () => {
    await using server = await FakeServer.running(misbehaviour.silent);
    const reason = new Error('enough');
    const connecting = AsyncConnection.connect(`host=127.0.0.1 port=${String(server.port)} user=u`, {
      signal: AbortSignal.any([AbortSignal.timeout(50)].map((signal) => mapReason(signal, reason))),
    });
    expect(await rejection(connecting)).toBe(reason);
  });

  it('that asks for an authentication nobody knows is refused by name', async () => {
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

  it('that asks for a password where there is none is told so, before anything is sent', async () => {
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

  describe('at one of 12 places in a handshake', () => {
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

    it.each(Object.keys(endings))('%s: it is given up in time, after one attempt', async (ending) => {
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
        // All of them wait: that takes no work.
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

describe('what can be wrong with where to connect', () => {
  it('a port that nobody listens on', async () => {
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

  it('a database that does not exist, by the SQLSTATE too', async () => {
    const error = await rejection(AsyncConnection.connect(dsn({ dbname: 'nowhere' })));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.sqlstate).toBe('3D000');
    expect(error.cause).toBeInstanceOf(errors.InvalidCatalogName);
  });

  it.skipIf(process.env['DATABASE_URL'] !== undefined)(
    'a wrong password, which no message repeats',
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

  it('a connection that is ready, but then garbles its answer, is lost and says why', async () => {
    await using server = await FakeServer.running(async (client) => {
      await client.until(8);
      const startup = client.received().length;
      client.send(welcome());
      // The empty query that ends startup.
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
