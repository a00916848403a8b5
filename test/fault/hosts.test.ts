import dns from 'node:dns';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  type ConninfoParams,
} from '../../src/index.js';
import { rejection } from '../support/database.js';
import {
  FakeServer,
  int32,
  message,
  messages,
  misbehaviour,
  welcome,
  type Script,
} from '../support/fake-server.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { freePort, PASSWORD_ROLE, startOwnServer, type TestServer } from '../support/server.js';
import { untilRunning } from '../support/until-running.js';

/** A server that accepts writes, except in the read-only sessions of the role `reader`; and a hot standby. */
let primary: TestServer;
let standby: TestServer;

beforeAll(async () => {
  [primary, standby] = await Promise.all([
    startOwnServer({
      sql: 'CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on',
    }),
    startOwnServer({ standby: true }),
  ]);
});

afterAll(async () => {
  await Promise.all([primary.stop(), standby.stop()]);
});

afterEach(() => {
  vi.restoreAllMocks();
});

interface Place {
  readonly host: string;
  readonly port: number;
}

function placeOf({ dsn }: TestServer): Place {
  const { host, port } = conninfoToDict(dsn);
  return { host: host!, port: Number(port) };
}

async function refusing(): Promise<Place> {
  return { host: '127.0.0.1', port: await freePort() };
}

async function fake(script: Script): Promise<Place & { readonly server: FakeServer }> {
  const server = await FakeServer.running(script);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { host: '127.0.0.1', port: server.port, server };
}

async function proxied(target: TestServer): Promise<Place & { readonly proxy: FaultProxy }> {
  const proxy = await FaultProxy.to(placeOf(target));
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return { host: '127.0.0.1', port: proxy.port, proxy };
}

function lists(places: readonly Place[]): ConninfoParams {
  return {
    host: places.map(({ host }) => host).join(','),
    port: places.map(({ port }) => port).join(','),
    user: 'postgres',
    dbname: 'postgres',
  };
}

async function connect(params: ConninfoParams): Promise<AsyncConnection> {
  const connection = await AsyncConnection.connect(params, { autocommit: true });
  onTestFinished(() => connection.close());
  return connection;
}

function refusal(params: ConninfoParams): Promise<errors.Error> {
  return rejection(connect(params));
}

function causes(error: errors.Error): errors.Error[] {
  expect(error.cause).toBeInstanceOf(AggregateError);
  return (error.cause as AggregateError).errors as errors.Error[];
}

describe('several hosts', () => {
  it('that all refuse reject with one error for all of them', async () => {
    const places = [await refusing(), await refusing(), await refusing()];
    const began = performance.now();
    const error = await refusal({ ...lists(places), password: 'hunter2' });
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(causes(error)).toHaveLength(3);
    for (const [i, { port }] of places.entries()) {
      expect(causes(error)[i]).toBeInstanceOf(errors.OperationalError);
      expect(causes(error)[i]!.message).toContain(String(port));
      expect(error.message).toContain(causes(error)[i]!.message);
    }
    expect(error.message).not.toContain('hunter2');
  });

  it('are tried in order, and the connection names the chosen one', async () => {
    const good = await proxied(primary);
    const after = await proxied(primary);
    const connection = await connect({
      ...lists([await refusing(), { ...good, host: 'localhost' }, after]),
      hostaddr: '127.0.0.1,127.0.0.1,127.0.0.1',
    });
    const { host, hostaddr, port } = connection.info;
    expect({ host, hostaddr, port }).toEqual({ host: 'localhost', hostaddr: '127.0.0.1', port: good.port });
    expect(connection.info.getParameters()).toMatchObject({ host, hostaddr, port: String(port) });
    expect(after.proxy.connections).toHaveLength(0);
  });

  it('are followed by cancel requests to the chosen one', async () => {
    const before = await fake(misbehaviour.closing);
    const good = await proxied(primary);
    const connection = await connect(lists([before, good]));
    const cancelled = expect(connection.execute('SELECT pg_sleep(30)')).rejects.toBeInstanceOf(
      errors.QueryCanceled,
    );
    await untilRunning(primary.dsn, connection.info.backendPid);
    await connection.cancelSafe();
    await cancelled;
    expect(good.proxy.connections).toHaveLength(2);
    expect(before.server.accepted).toBe(1);
  });

  it('serve a pool', async () => {
    const conninfo = lists([await refusing(), placeOf(primary)]);
    await using pool = new AsyncConnectionPool(conninfo, { minSize: 2, open: false });
    await pool.open({ wait: true });
    expect((await pool.execute('SELECT 1')).rows).toEqual([[1]]);
  });

  it('may be unix sockets as well', async () => {
    const { port } = placeOf(primary);
    const connection = await connect({
      ...lists([
        { host: '/nowhere', port },
        { host: primary.socketDirectory!, port },
      ]),
    });
    expect(connection.info.host).toBe(primary.socketDirectory);
    expect(connection.info.hostaddr).toBe('');
  });

  it('each get connect_timeout', async () => {
    const silent = [await fake(misbehaviour.silent), await fake(misbehaviour.silent)];
    const connection = await connect({ ...lists([...silent, placeOf(primary)]), connect_timeout: 2 });
    expect(connection.info.port).toBe(placeOf(primary).port);
    const error = await refusal({ ...lists(silent), connect_timeout: 2 });
    expect(error).toBeInstanceOf(errors.ConnectionTimeout);
    expect(causes(error).map((cause) => cause instanceof errors.ConnectionTimeout)).toEqual([true, true]);
  });

  it('accept the longest possible connect_timeout', async () => {
    const connection = await connect({ ...lists([placeOf(primary)]), connect_timeout: 2 ** 31 - 1 });
    expect(connection.info.port).toBe(placeOf(primary).port);
  });

  it('are abandoned at once when the signal is aborted', async () => {
    const silent = await fake(misbehaviour.silent);
    const after = await proxied(primary);
    const controller = new AbortController();
    const reason = new Error('enough');
    const connecting = AsyncConnection.connect(lists([silent, after]), { signal: controller.signal });
    setTimeout(() => {
      controller.abort(reason);
    }, 50);
    await expect(connecting).rejects.toBe(reason);
    expect(after.proxy.connections).toHaveLength(0);
  });

  it('each get their password from the password file', async () => {
    const asked: string[] = [];
    const asking: Script = async (client) => {
      await client.until(1);
      const startup = client.received().length;
      client.send(message('R', int32(3)));
      await client.until(startup + 6);
      asked.push(
        client
          .received()
          .subarray(startup + 5, -1)
          .toString(),
      );
      client.socket.end();
    };
    const places = [await fake(asking), await fake(asking)];
    const home = await mkdtemp(join(tmpdir(), 'usingpg-home-'));
    onTestFinished(() => rm(home, { recursive: true }));
    const passfile = join(home, 'passwords');
    await writeFile(
      passfile,
      places.map(({ port }, i) => `127.0.0.1:${String(port)}:*:*:secret ${String(i)}`).join('\n'),
    );
    await chmod(passfile, 0o600);
    const error = await refusal({ ...lists(places), passfile });
    expect(asked).toEqual(['secret 0', 'secret 1']);
    expect(error.message).not.toContain('secret');
  });
});

describe('the next host', () => {
  it.each<[string, Script]>([
    ['closes the connection', misbehaviour.closing],
    ['resets the connection', misbehaviour.resetting],
    [
      'is starting up',
      async (client) => {
        await client.until(1);
        client.send(messages.error('FATAL', '57P03', 'the database system is starting up'));
        client.socket.end();
      },
    ],
  ])('is tried after one that %s', async (_, script) => {
    const before = await fake(script);
    const connection = await connect(lists([before, placeOf(primary)]));
    expect(connection.info.port).toBe(placeOf(primary).port);
    expect(before.server.accepted).toBe(1);
  });

  it.each<[string, Script]>([
    ['talks another protocol', misbehaviour.garbage],
    [
      'knows the login and refuses it',
      async (client) => {
        await client.until(1);
        client.send(messages.error('FATAL', '28P01', 'password authentication failed'));
        client.socket.end();
      },
    ],
    [
      'has no such database',
      async (client) => {
        await client.until(1);
        client.send(messages.authenticationOk, messages.error('FATAL', '3D000', 'no such database'));
        client.socket.end();
      },
    ],
    [
      'asks for a password where there is none',
      async (client) => {
        await client.until(1);
        client.send(messages.authenticationSasl);
      },
    ],
    [
      'asks for what is not supported',
      async (client) => {
        await client.until(1);
        client.send(message('R', int32(7)));
      },
    ],
  ])('is not tried after one that %s', async (_, script) => {
    const before = await fake(script);
    const after = await proxied(primary);
    const error = await refusal(lists([before, after]));
    expect(error).toBeInstanceOf(errors.DatabaseError);
    expect(before.server.accepted).toBe(1);
    expect(after.proxy.connections).toHaveLength(0);
  });

  it('is not tried after a wrong password, and the error is that of the password', async () => {
    const after = await proxied(primary);
    const error = await refusal({
      ...lists([await refusing(), placeOf(primary), after]),
      user: PASSWORD_ROLE.user,
      password: 'hunter2',
    });
    expect(error).toBeInstanceOf(errors.InvalidPassword);
    expect(error.sqlstate).toBe('28P01');
    expect(causes(error)).toHaveLength(2);
    expect(error.message).not.toContain('hunter2');
    expect(after.proxy.connections).toHaveLength(0);
  });
});

describe('a name', () => {
  type LookUp = (
    name: string,
    options: unknown,
    done: (error: Error | null, addresses?: { address: string; family: number }[]) => void,
  ) => void;
  const resolving = (addresses: readonly string[]): void => {
    const lookUp: LookUp = (_, __, done) => {
      setImmediate(
        done,
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
    };
    vi.spyOn(dns, 'lookup').mockImplementation(lookUp as never);
  };

  it('that has several addresses is tried at each', async () => {
    resolving(['127.0.0.2', '127.0.0.3', '127.0.0.1']);
    const { port } = placeOf(primary);
    const connection = await connect(lists([{ host: 'db.example', port }]));
    expect(connection.info.host).toBe('db.example');
    expect(connection.info.hostaddr).toBe('127.0.0.1');
  });

  it('that has several addresses names each of them when it fails', async () => {
    resolving(['127.0.0.2', '127.0.0.3']);
    const error = await refusal(lists([{ host: 'db.example', port: placeOf(primary).port }]));
    expect(causes(error)).toHaveLength(2);
    expect(error.message).toMatch(/db\.example:\d+ \(127\.0\.0\.2\).*db\.example:\d+ \(127\.0\.0\.3\)/s);
  });

  it('of a server of the wrong kind is not tried at its other addresses', async () => {
    resolving(['127.0.0.1', '127.0.0.1']);
    const error = await refusal({
      ...lists([{ host: 'db.example', port: placeOf(primary).port }]),
      target_session_attrs: 'standby',
    });
    expect(error.cause).not.toBeInstanceOf(AggregateError);
  });

  it('that is unknown is skipped', async () => {
    const connection = await connect(lists([{ host: 'nowhere.invalid', port: 1 }, placeOf(primary)]));
    expect(connection.info.port).toBe(placeOf(primary).port);
  });

  it('that is not resolved in time is skipped', async () => {
    vi.spyOn(dns, 'lookup').mockImplementation(() => undefined);
    const connection = await connect({
      ...lists([{ host: 'db.example', port: 1 }, placeOf(primary)]),
      connect_timeout: 2,
    });
    expect(connection.info.port).toBe(placeOf(primary).port);
  });
});

describe('load_balance_hosts', () => {
  const orders = async (load_balance_hosts: string): Promise<Set<string>> => {
    const places = [await refusing(), await refusing(), await refusing()];
    const seen = new Set<string>();
    for (let run = 0; run < 60; run++) {
      const failures = causes(await refusal({ ...lists(places), load_balance_hosts }));
      seen.add(
        failures
          .map(({ message: text }) => places.findIndex(({ port }) => text.includes(`:${String(port)}`)))
          .join(''),
      );
    }
    return seen;
  };

  it('=random tries them in any order', async () => {
    // In 60 runs, one of the six orders is missing with a probability of 1 in 9,000.
    expect([...(await orders('random'))].sort()).toEqual(['012', '021', '102', '120', '201', '210']);
  });

  it('=disable tries them in the given order', async () => {
    expect([...(await orders('disable'))]).toEqual(['012']);
  });
});

describe('target_session_attrs', () => {
  const PRIMARY = 'primary';
  const STANDBY = 'standby';

  it.each([
    ['any', 'postgres', [PRIMARY, STANDBY], PRIMARY],
    ['any', 'postgres', [STANDBY, PRIMARY], STANDBY],
    ['read-write', 'postgres', [STANDBY, PRIMARY], PRIMARY],
    ['read-write', 'reader', [PRIMARY], null],
    ['read-only', 'postgres', [PRIMARY, STANDBY], STANDBY],
    ['read-only', 'reader', [PRIMARY], PRIMARY],
    ['primary', 'postgres', [STANDBY, PRIMARY], PRIMARY],
    ['primary', 'reader', [PRIMARY], PRIMARY],
    ['standby', 'postgres', [PRIMARY, STANDBY], STANDBY],
    ['standby', 'reader', [PRIMARY], null],
    ['prefer-standby', 'postgres', [PRIMARY, STANDBY], STANDBY],
    ['prefer-standby', 'postgres', [PRIMARY, 'refusing'], PRIMARY],
    ['prefer-standby', 'postgres', ['refusing'], null],
  ] as const)('=%s for the role %s, of %j, chooses %j', async (target, user, names, expected) => {
    const unreachable = await refusing();
    const places = names.map((name) =>
      name === PRIMARY ? placeOf(primary) : name === STANDBY ? placeOf(standby) : unreachable,
    );
    const params = { ...lists(places), user, target_session_attrs: target };
    if (expected === null) {
      expect(await refusal(params)).toBeInstanceOf(errors.OperationalError);
      return;
    }
    const connection = await connect(params);
    expect(connection.info.port).toBe(placeOf(expected === PRIMARY ? primary : standby).port);
  });

  it('reports why each host is unsuitable', async () => {
    const error = await refusal({
      ...lists([placeOf(standby), await refusing()]),
      target_session_attrs: 'read-write',
    });
    expect(error.message).toMatch(/its sessions are read-only, but target_session_attrs=read-write/);
    expect(error.message).toMatch(/connection refused/);
  });

  describe('asks a server that does not report its state', () => {
    /** A server before version 14. */
    const old =
      (answers: Readonly<Record<string, string | null>>, asked: string[]): Script =>
      async (client) => {
        await client.until(1);
        let seen = client.received().length;
        client.send(welcome());
        let text = '';
        for (;;) {
          await client.until(seen + 5);
          if (client.socket.destroyed) return;
          const bytes = client.received();
          const type = String.fromCharCode(bytes[seen]!);
          const length = bytes.readInt32BE(seen + 1) + 1;
          await client.until(seen + length);
          const body = client.received().subarray(seen + 5, seen + length);
          seen += length;
          // Parse contains the statement's name and its text.
          if (type === 'P') text = body.subarray(1, body.indexOf(0, 1)).toString();
          if (type !== 'S') continue;
          asked.push(text);
          const value = answers[text] ?? null;
          if (value === null) {
            client.send(messages.error('ERROR', '42501', 'not for you'), messages.readyForQuery('I'));
          } else {
            client.send(
              message('3'),
              message('1'),
              message('2'),
              message('T', Buffer.from([0, 1]), 'x\0', Buffer.alloc(18)),
              message('D', Buffer.from([0, 1]), int32(value.length), value),
              messages.commandComplete('SELECT 1'),
              messages.readyForQuery('I'),
            );
          }
        }
      };
    const READ_ONLY = 'SHOW transaction_read_only';
    const RECOVERY = 'SELECT pg_catalog.pg_is_in_recovery()';

    it.each([
      ['read-write', READ_ONLY, 'on', 'off'],
      ['read-only', READ_ONLY, 'off', 'on'],
      ['primary', RECOVERY, 't', 'f'],
      ['standby', RECOVERY, 'f', 't'],
    ])('for %s', async (target, question, wrong, right) => {
      const asked: string[] = [];
      const places = [
        await fake(old({}, asked)),
        await fake(old({ [question]: wrong }, asked)),
        await fake(old({ [question]: right }, asked)),
      ];
      const connection = await connect({ ...lists(places), target_session_attrs: target });
      expect(connection.info.port).toBe(places[2]!.port);
      expect(asked).toEqual([question, question, question]);
      const error = await refusal({ ...lists(places.slice(0, 2)), target_session_attrs: target });
      expect(error.message).toMatch(/not for you/);
      expect(causes(error)).toHaveLength(2);
    });

    it('but only within the timeout', async () => {
      const silent = await fake(async (client) => {
        await client.until(1);
        client.send(welcome());
      });
      const connection = await connect({
        ...lists([silent, placeOf(primary)]),
        target_session_attrs: 'primary',
        connect_timeout: 2,
      });
      expect(connection.info.port).toBe(placeOf(primary).port);
    });
  });
});
