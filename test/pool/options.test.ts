import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnectionPool,
  dictRow,
  errors,
  type ConninfoParams,
  type PoolOptions,
} from '../../src/index.js';
import { backends, dsn, makePool, rejection } from '../support/database.js';
import { freePort } from '../support/server.js';
import { warningsOf } from '../support/warnings.js';

describe('closeReturns', () => {
  it('makes close() return the connection', async () => {
    const pool = makePool({ closeReturns: true, maxSize: 1 });
    expect(pool.closeReturns).toBe(true);
    const connection = await pool.getconn();
    const { backendPid } = connection.info;
    await connection.execute('selec').catch(() => undefined);
    await connection.close();
    await connection.close();
    expect(connection.closed).toBe(true);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.InterfaceError);
    await expect(pool.putconn(connection)).rejects.toBeInstanceOf(errors.ProgrammingError);
    const other = await pool.getconn(1);
    expect(other.info.backendPid).toBe(backendPid);
    await pool.putconn(other);
    expect(pool.getStats()).toMatchObject({ returnsBad: 0, connectionsNum: 1, poolAvailable: 1 });
  });

  it('within withConnection() leaves writes uncommitted, with a warning', async () => {
    const pool = makePool({ closeReturns: true });
    const warnings = await warningsOf('USINGPG_UNCOMMITTED', () =>
      pool.withConnection(async (connection) => {
        await connection.execute('create temp table t (id int)');
        await connection.close();
      }),
    );
    expect(warnings).toHaveLength(1);
  });

  it('is off by default: close() closes, and another connection takes its place', async () => {
    const pool = makePool({ maxSize: 1 });
    const connection = await pool.getconn();
    const { backendPid } = connection.info;
    await connection.close();
    await pool.putconn(connection);
    await pool.withConnection((next) => {
      expect(next.info.backendPid).not.toBe(backendPid);
    });
    expect(pool.getStats()).toMatchObject({ returnsBad: 1, connectionsNum: 2 });
  });
});

describe('parameters', () => {
  it('may be functions, which are called for each connection, also at a retry', async () => {
    const passwords: string[] = [];
    let options = 0;
    const pool = new AsyncConnectionPool(
      async () => {
        passwords.push(`rotated ${String(passwords.length)}`);
        await sleep(1);
        if (passwords.length === 1) throw new Error('the vault is sealed');
        return { ...params(), application_name: `${params()['application_name']!} ${passwords.at(-1)!}` };
      },
      {
        minSize: 1,
        connectOptions: () => ({ autocommit: true, rowFactory: dictRow, prepareThreshold: ++options }),
      },
    );
    await using connection = await pool.connection();
    expect(connection.autocommit).toBe(true);
    expect(connection.prepareThreshold).toBe(1);
    const cursor = await connection.execute("select current_setting('application_name') as name");
    expect((await cursor.fetchone())!).toHaveProperty('name', expect.stringMatching(/ rotated 1$/));
    expect(pool.getStats()).toMatchObject({ connectionsNum: 2, connectionsErrors: 1 });
    await pool.putconn(connection);
    await pool.drain();
    await pool.execute('select 1');
    expect([passwords.length, options]).toEqual([3, 2]);
    await pool.close();
  });

  it('from a function that fails reject requests with its error', async () => {
    const pool = new AsyncConnectionPool(() => Promise.reject(new Error('the vault is sealed')), {
      minSize: 1,
    });
    const error: unknown = await pool.connection({ timeout: 0.1 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect((error as Error).message).toContain('the last attempt to connect failed: the vault is sealed');
    expect((error as Error).cause).toHaveProperty('message', 'the vault is sealed');
    await pool.close();
  });

  it('that are always invalid are refused at once', () => {
    for (const conninfo of ['hots=localhost', 'postgresql://[::1/x', { hots: 'x' }, 5, null]) {
      expect(() => new AsyncConnectionPool(conninfo as string)).toThrow(errors.ProgrammingError);
    }
    for (const options of [
      { connectOptions: 'autocommit' },
      { connectOptions: [] },
      { connectOptions: { prepareThreshhold: null } },
      { connectOptions: { application_name: 'app' } },
      { connectOptions: { prepareThreshold: 'never' } },
      { connectOptions: { rowFactory: 'dict' } },
      { name: Object.create(null) as unknown },
      { name: 5 },
      { open: 'yes' },
      { closeReturns: 1 },
      { allowExitOnIdle: null },
      { leakThreshold: -1 },
      { reconnectFailed: 'mail me' },
    ] as unknown as PoolOptions[]) {
      expect(() => new AsyncConnectionPool(dsn(), { open: false, ...options })).toThrow(
        errors.ProgrammingError,
      );
    }
  });

  it('that are no options are refused, and so is a value that is no connection string', () => {
    for (const options of [5, null, [], 'minSize=1']) {
      expect(() => new AsyncConnectionPool(dsn(), options as unknown as PoolOptions)).toThrow(
        errors.ProgrammingError,
      );
    }
    expect(() => new AsyncConnectionPool([] as unknown as string)).toThrow(errors.ProgrammingError);
  });

  it('are refused by name, with the expected and the given value, but without a connection string', () => {
    const refusal = (options: unknown): string => {
      try {
        new AsyncConnectionPool(dsn(), options as PoolOptions);
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    expect(refusal({ timeout: '5' })).toBe(
      'expected `timeout` to be a number of seconds, 0 or more, got the string "5"',
    );
    expect(refusal({ maxWaiting: {} })).toBe(
      'expected `maxWaiting` to be a whole number, 0 or more, got an object',
    );
    expect(refusal({ connectOptions: { autocomit: true } })).toMatch(/^unknown option `autocomit` /);
    expect(refusal({ connectOptions: 'password=hunter2' })).not.toContain('hunter2');
  });

  it.each([undefined, null, 5, ['host=h'], Symbol('dsn')])(
    'from a function are refused if it returns %s, which would mean the default server',
    async (given) => {
      const pool = new AsyncConnectionPool(() => given as unknown as string, { minSize: 1 });
      const error: unknown = await pool.connection({ timeout: 0.1 }).catch((reason: unknown) => reason);
      expect((error as Error).cause).toBeInstanceOf(errors.ProgrammingError);
      expect((error as Error).message).toContain('expected a connection string');
      await pool.close();
    },
  );

  it('that are undefined count as not given', () => {
    const pool = makePool({
      open: false,
      maxSize: undefined,
      timeout: undefined,
      name: undefined,
      leakThreshold: undefined,
    });
    expect([pool.minSize, pool.maxSize, pool.timeout, pool.leakThreshold]).toEqual([1, 1, 30, 0]);
    expect(pool.name).toMatch(/^pool-\d+$/);
  });
});

describe('reconnectFailed', () => {
  it('is called with the pool when reconnectTimeout has passed, and may fail itself', async () => {
    const heard: unknown[] = [];
    const target = dsn({ host: '127.0.0.1', port: await freePort() });
    let pool!: AsyncConnectionPool;
    const warnings = await warningsOf('USINGPG_RECONNECT_FAILED', async () => {
      pool = new AsyncConnectionPool(target, {
        minSize: 1,
        reconnectTimeout: 0.1,
        reconnectFailed: (which) => {
          heard.push(which);
          return Promise.reject(new Error('the pager is off'));
        },
      });
      await expect.poll(() => heard).toHaveLength(1);
      await sleep(10);
    });
    expect(heard[0] === pool).toBe(true);
    expect(warnings[0]).toContain('the pager is off');
    // It has given up until the next request.
    const { connectionsNum } = pool.getStats();
    await sleep(300);
    expect(pool.getStats().connectionsNum).toBe(connectionsNum);
    await expect(pool.connection({ timeout: 0.05 })).rejects.toBeInstanceOf(errors.PoolTimeout);
    await expect.poll(() => pool.getStats().connectionsNum).toBeGreaterThan(connectionsNum);
    await pool.close();
  });
});

describe('reconnectTimeout 0', () => {
  it.each([
    ['connection()', (pool: AsyncConnectionPool) => pool.connection({ timeout: 60 })],
    ['execute()', (pool: AsyncConnectionPool) => pool.execute('select 1', null, { timeout: 60 })],
    ['wait()', (pool: AsyncConnectionPool) => pool.wait(60)],
  ])('refuses %s when the only attempt has failed, with the reason', async (_door, ask) => {
    let told = 0;
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: await freePort() }), {
      minSize: 2,
      reconnectTimeout: 0,
      reconnectFailed: () => {
        told++;
      },
    });
    const error = await rejection(ask(pool));
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect(error.message).toContain('connection refused');
    expect(error.cause).toBeInstanceOf(errors.OperationalError);
    expect(told).toBe(1);
    await pool.close();
  });
});

describe('opening', () => {
  it('reports the connection error in its message, too', async () => {
    const pool = new AsyncConnectionPool(dsn({ dbname: 'no_such_database' }), { minSize: 2, open: false });
    const error: unknown = await pool.open({ wait: true, timeout: 2 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect((error as Error).message).toMatch(/0 of 2 connections made; .*no_such_database/);
    expect((error as Error).cause).toBeInstanceOf(errors.OperationalError);
    expect((error as Error).cause).toHaveProperty('sqlstate', '3D000');
    await expect(pool.open()).rejects.toBeInstanceOf(errors.PoolClosed);
  });
});

describe('under load', () => {
  it('a pool grows, shrinks and drains without losing a request', async () => {
    const pool = makePool({ minSize: 2, maxSize: 4 });
    let served = 0;
    let stop = false;
    const workers = Array.from({ length: 12 }, async () => {
      while (!stop) {
        await pool.execute('select 1', null, { timeout: 100 });
        served++;
      }
    });
    for (const [minSize, maxSize] of [
      [6, 8],
      [1, 2],
      [0, 1],
      [3, 5],
    ] as const) {
      await pool.resize(minSize, maxSize);
      await pool.drain();
      const before = served;
      await expect.poll(() => served).toBeGreaterThan(before + 50);
      await expect.poll(async () => (await backends()).length).toBeLessThanOrEqual(maxSize);
      expect([pool.minSize, pool.maxSize]).toEqual([minSize, maxSize]);
    }
    stop = true;
    await Promise.all(workers);
    const stats = pool.getStats();
    expect(stats).toMatchObject({
      requestsErrors: 0,
      requestsWaiting: 0,
      returnsBad: 0,
      poolMin: 3,
      poolMax: 5,
    });
    // The last drain is still being made up for.
    await expect.poll(() => pool.getStats().poolAvailable === pool.getStats().poolSize).toBe(true);
  });

  it('one signal serves any number of items of map()', async () => {
    const pool = makePool({ maxSize: 15 });
    const { signal } = new AbortController();
    const items = Array.from({ length: 40 }, (_, i) => i);
    expect(await pool.map(items, (_connection, item) => Promise.resolve(item), { signal })).toEqual(items);
  });
});

describe('a value that is no signal', () => {
  it('is refused, and no connection is lost', async () => {
    const pool = makePool({ maxSize: 1 });
    const held = await pool.connection();
    // The controller in place of its signal.
    const options = { signal: new AbortController() as unknown as AbortSignal };
    for (const call of [
      pool.connection(options),
      pool.execute('select 1', [], options),
      pool.withTransaction(() => 1, options),
      pool.map([1], () => Promise.resolve(1), options),
      pool.wait(options),
      pool.check(options),
    ]) {
      await expect(call).rejects.toThrow(errors.ProgrammingError);
    }
    await pool.putconn(held);
    expect(await pool.withConnection(() => 'there', { timeout: 30 })).toBe('there');
    expect(pool.getStats()).toMatchObject({ poolAvailable: 1, requestsWaiting: 0 });
  });
});

describe('allowExitOnIdle', () => {
  it.each([
    ['a connection', 'pool.connection({ timeout: Infinity })'],
    ['the pool', 'pool.wait(Infinity)'],
  ])('keeps the process alive during a wait without timeout for %s', async (_what, call) => {
    const program = `
      import { AsyncConnectionPool } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1, allowExitOnIdle: true });
      console.log('waiting');
      await ${call};
      console.log('served');
    `;
    const port = await freePort();
    const { child, exited } = start(program, { host: '127.0.0.1', port });
    await once(child.stdout, 'data');
    expect(await Promise.race([exited, sleep(1500, 'still there')])).toBe('still there');
  });

  it.each([
    [true, 'idle connections', true],
    [false, 'idle connections', false],
    [true, 'a connection lent out that waits', false],
  ])('%s: the process ends with %s: %s', async (allowExitOnIdle, what, ends) => {
    const program = `
      import { AsyncConnectionPool } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 2, allowExitOnIdle: ${String(allowExitOnIdle)} });
      await pool.execute('select 1');
      await pool.wait();
      console.log('idle');
      ${what === 'idle connections' ? '' : "const c = await pool.getconn(); await c.setAutocommit(true); await c.execute('listen x'); for await (const n of c.notifies()) console.log(n);"}
    `;
    const { child, exited } = start(program);
    await once(child.stdout, 'data');
    const result = await Promise.race([exited, sleep(ends ? 60_000 : 1500, 'still there', { ref: false })]);
    expect(result).toEqual(ends ? [0, null] : 'still there');
  });
});

/** Runs a program as a separate process, until the test ends at the latest. */
function start(program: string, params: ConninfoParams = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    env: { ...process.env, DSN: dsn(params) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited };
}

/** The parameters of the run's server, by name. */
function params(): Record<string, string> {
  return Object.fromEntries(
    [...dsn().matchAll(/(\w+)=('(?:[^'\\]|\\.)*'|\S+)/g)].map(([, name, value]) => [
      name!,
      value!.replace(/^'|'$/g, '').replaceAll(/\\(.)/g, '$1'),
    ]),
  );
}
