import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  conninfoToDict,
  errors,
  makeConninfo,
  type ConninfoParams,
  type PasswordFunction,
  type PasswordRequest,
} from '../../src/index.js';
import { dsn, rejection, terminate } from '../support/database.js';
import { freePort, PASSWORD_ROLE } from '../support/server.js';

/** The parameters of the role that has to show a password, over TCP. */
function asked(password: PasswordFunction, more: ConninfoParams = {}): ConninfoParams {
  return { ...conninfoToDict(dsn()), user: PASSWORD_ROLE.user, ...more, password };
}

describe('a password that is a function', () => {
  test.each<[kind: string, ask: PasswordFunction]>([
    ['synchronously', () => PASSWORD_ROLE.password],
    ['later', async () => sleep(5, PASSWORD_ROLE.password)],
  ])('is asked, and answers %s', async (_kind, ask) => {
    await using connection = await AsyncConnection.connect(asked(ask));
    expect(connection.info.user).toBe(PASSWORD_ROLE.user);
    expect(connection.info.password).toBe(PASSWORD_ROLE.password);
    expect(connection.info.dsn).not.toContain(PASSWORD_ROLE.password);
    expect(connection.info.getParameters()).not.toHaveProperty('password');
  });

  test('is asked anew at each connect, for the server that is to be connected to', async () => {
    const requests: PasswordRequest[] = [];
    const params = asked((server) => {
      requests.push(server);
      return PASSWORD_ROLE.password;
    });
    for (let i = 0; i < 2; i++) await (await AsyncConnection.connect(params)).close();
    const { host, port, dbname } = conninfoToDict(dsn());
    const server = { host, port: Number(port), dbname, user: PASSWORD_ROLE.user };
    expect(requests).toEqual([server, server]);
  });

  test('goes before the environment and before what the connection string of the environment has', async () => {
    const before = process.env['PGPASSWORD'];
    process.env['PGPASSWORD'] = 'outdated';
    try {
      await (await AsyncConnection.connect(asked(() => PASSWORD_ROLE.password))).close();
    } finally {
      if (before === undefined) delete process.env['PGPASSWORD'];
      else process.env['PGPASSWORD'] = before;
    }
  });

  test('that gives a wrong one is refused by the server, and its password is not shown', async () => {
    const error = await rejection(AsyncConnection.connect(asked(() => 'hunter2')));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.sqlstate).toBe('28P01');
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('hunter2');
  });

  test.each<[kind: string, ask: PasswordFunction]>([
    [
      'throws',
      () => {
        throw new Error('the vault is sealed');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the vault is sealed'))],
  ])('that %s is why connecting fails', async (_kind, ask) => {
    const error = await rejection(AsyncConnection.connect(asked(ask)));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toBe('the function `password` failed: Error: the vault is sealed');
    expect(error.cause).toHaveProperty('message', 'the vault is sealed');
    expect(error.connection).toMatchObject({ user: PASSWORD_ROLE.user });
  });

  test.each([undefined, null, 5, '', {}, Symbol('token')])('has to give a string, not %o', async (given) => {
    const error = await rejection(AsyncConnection.connect(asked(() => given as string)));
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    expect(error.message).toContain('expected the function `password` to give a string, got ');
  });

  test('has as long as connect_timeout', async () => {
    const error = await rejection(
      AsyncConnection.connect(asked(() => new Promise<string>(() => undefined), { connect_timeout: 2 })),
    );
    expect(error).toBeInstanceOf(errors.ConnectionTimeout);
    expect(error.message).toMatch(/^the function `password` gave none for .* within 2 seconds$/);
  });

  test('is not waited for after an abort of the signal', async () => {
    const abort = new AbortController();
    const reason = new Error('not any more');
    const connecting = AsyncConnection.connect(
      asked(() => {
        queueMicrotask(() => {
          abort.abort(reason);
        });
        return new Promise<string>((_, reject) => setTimeout(reject, 20, new Error('too late')));
      }),
      { signal: abort.signal },
    );
    await expect(connecting).rejects.toBe(reason);
    await sleep(30);
  });

  test('is asked for each host that is tried, once', async () => {
    const { host, port } = conninfoToDict(dsn());
    const dead = await freePort();
    const ports: number[] = [];
    const params = asked(
      (server) => {
        ports.push(server.port);
        return PASSWORD_ROLE.password;
      },
      { host: `${host!},${host!}`, port: `${String(dead)},${port!}` },
    );
    await using connection = await AsyncConnection.connect({
      ...params,
      target_session_attrs: 'prefer-standby',
    });
    expect(connection.info.port).toBe(Number(port));
    expect(ports).toEqual([dead, Number(port)]);
  });

  test('that fails ends the search among several hosts', async () => {
    const { host, port } = conninfoToDict(dsn());
    let calls = 0;
    const params = asked(
      () => {
        calls++;
        throw new Error('the vault is sealed');
      },
      { host: `${host!},${host!}`, port: `${port!},${port!}` },
    );
    await expect(AsyncConnection.connect(params)).rejects.toThrow('the vault is sealed');
    expect(calls).toBe(1);
  });

  test('of a pool is asked for each of its connections, and again when one is replaced', async () => {
    let tokens = 0;
    await using pool = new AsyncConnectionPool(
      asked(() => {
        tokens++;
        return PASSWORD_ROLE.password;
      }),
      { minSize: 2 },
    );
    await pool.wait();
    expect(tokens).toBe(2);
    const pid = await pool.withConnection((connection) => connection.info.backendPid);
    await terminate(pid);
    await expect.poll(() => tokens).toBe(3);
    expect(inspect(pool, { depth: 9, showHidden: true })).not.toContain(PASSWORD_ROLE.password);
  });

  test('of a pool may fail, and is asked again', async () => {
    let tokens = 0;
    await using pool = new AsyncConnectionPool(
      asked(() => {
        if (tokens++ === 0) throw new Error('the vault is sealed');
        return PASSWORD_ROLE.password;
      }),
      { minSize: 1 },
    );
    await pool.withConnection(() => undefined);
    expect(tokens).toBe(2);
  });

  test('of a null pool is asked at each checkout', async () => {
    let tokens = 0;
    await using pool = new AsyncNullConnectionPool(
      asked(() => {
        tokens++;
        return PASSWORD_ROLE.password;
      }),
    );
    for (let i = 0; i < 3; i++) await pool.withConnection(() => undefined);
    expect(tokens).toBe(3);
  });

  test('may be in what a function gives as the parameters', async () => {
    await using pool = new AsyncConnectionPool(() => asked(() => PASSWORD_ROLE.password), { minSize: 1 });
    await pool.withConnection(() => undefined);
  });

  test('has no place in a connection string', () => {
    const params = asked(() => 'hunter2');
    for (const call of [() => makeConninfo('', params), () => conninfoToDict('', params)]) {
      expect(call).toThrow(errors.ProgrammingError);
      expect(call).toThrow(/no place for a function/);
    }
  });

  test('is the only parameter that may be one', async () => {
    const params = { host: () => 'localhost' } as unknown as ConninfoParams;
    await expect(AsyncConnection.connect(params)).rejects.toThrow(
      'expected the connection parameter host to be a string, got a function',
    );
    expect(() => new AsyncConnectionPool(params)).toThrow(errors.ProgrammingError);
  });
});
