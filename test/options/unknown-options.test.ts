import { describe, expect, test } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnection,
  AsyncConnectionPool,
  AsyncCursor,
  AsyncServerCursor,
  CompositeInfo,
  EnumInfo,
  errors,
  Json,
  Jsonb,
  Listener,
  registerComposite,
  registerEnum,
  registerTemporal,
  TypeInfo,
  type ConninfoParams,
  type PoolOptions,
} from '../../src/index.js';
import { connect, dsn, makePool } from '../support/database.js';

/** What a call is refused with, whether it throws or rejects. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof errors.ProgrammingError)) throw error;
    return error.message;
  }
  return 'accepted';
}

function poolRefusal(options: object): Promise<string> {
  return refusal(() => new AsyncConnectionPool(dsn(), { open: false, ...options }));
}

function connectRefusal(options: object): Promise<string> {
  return refusal(() => AsyncConnection.connect(dsn(), options));
}

describe('an option by the name that another client has for it', () => {
  test.each<[given: object, written: string]>([
    // node-postgres
    [{ max: 10 }, '`maxSize: 10`'],
    [{ min: 2 }, '`minSize: 2`'],
    [{ idleTimeoutMillis: 30_000 }, '`maxIdle: 30`, in seconds where `idleTimeoutMillis` is in milliseconds'],
    [{ connectionTimeoutMillis: 2500 }, '`timeout: 2.5`, in seconds'],
    [{ maxLifetimeSeconds: 60 }, '`maxLifetime: 60`'],
    [{ connectionString: 'postgresql://h' }, 'first argument'],
    [{ database: 'app' }, '`dbname=…` in the connection string'],
    [{ host: 'db.example.com' }, '`host=…` in the connection string, or `{ host: … }`'],
    [{ port: 5433 }, '`port=5433`'],
    [{ user: 'me' }, '`user=…`'],
    [{ password: 'hunter2' }, '`password=…`'],
    [{ application_name: 'app' }, '`application_name=…`'],
    [{ ssl: true }, '`sslmode=verify-full` and `sslrootcert`'],
    [{ ssl: false }, '`sslmode=disable`'],
    [{ ssl: 'require' }, '`sslmode=require`'],
    [{ ssl: { rejectUnauthorized: false } }, '`sslmode=require`'],
    [{ ssl: { ca: 'PEM' } }, '`sslcert`'],
    [{ statement_timeout: 5000 }, '`-c statement_timeout=5000`'],
    [{ lock_timeout: 5000 }, '`-c lock_timeout=5000`'],
    [{ query_timeout: 5000 }, 'AbortSignal.timeout'],
    [{ keepAlive: true }, '`keepalives=1`'],
    [{ keepAliveInitialDelayMillis: 10_000 }, '`keepalives_idle=10`'],
    [{ types: {} }, 'registerLoader'],
    [{ onConnect: () => undefined }, '`configure: …`'],
    [{ binary: true }, '`cursor.execute(query, params, { binary: true })`'],
    // postgres.js
    [{ idle_timeout: 20 }, '`maxIdle: 20`'],
    [{ max_lifetime: 1800 }, '`maxLifetime: 1800`'],
    [{ connect_timeout: 10 }, '`connect_timeout=10`'],
    [{ username: 'me' }, '`user=…`'],
    [{ pass: 'hunter2' }, '`password=…`'],
    [{ prepare: false }, '`prepareThreshold: null`'],
    [{ onnotice: () => undefined }, 'addNoticeHandler'],
    [{ onnotify: () => undefined }, 'addNotifyHandler'],
    [{ transform: {} }, '`rowFactory`'],
    [{ fetch_types: false }, 'TypeInfo.fetch'],
    [{ target_session_attrs: 'read-write' }, '`target_session_attrs=…`'],
    [{ connection: {} }, '`application_name`'],
    [{ debug: true }, 'usingpg:query'],
    // psycopg_pool, Psycopg
    [{ min_size: 1 }, '`minSize: 1`'],
    [{ max_size: 5 }, '`maxSize: 5`'],
    [{ max_idle: 60 }, '`maxIdle: 60`'],
    [{ max_waiting: 5 }, '`maxWaiting: 5`'],
    [{ reconnect_timeout: 5 }, '`reconnectTimeout: 5`'],
    [{ num_workers: 5 }, '`numWorkers: 5`'],
    [{ close_returns: true }, '`closeReturns: true`'],
    [{ connection_class: AsyncConnection }, '`connectionClass: …`'],
    [{ kwargs: {} }, '`connectOptions`'],
    [{ conninfo: 'host=h' }, 'first argument'],
    [{ row_factory: () => undefined }, '`connectOptions: { rowFactory: … }`'],
    [{ autocommit: true }, '`connectOptions: { autocommit: true }`'],
    [{ prepare_threshold: 3 }, '`connectOptions: { prepareThreshold: 3 }`'],
    // SQLAlchemy, asyncpg, knex, HikariCP, Prisma
    [{ pool_size: 5 }, '`maxSize: 5`'],
    [{ pool_recycle: 1800 }, '`maxLifetime: 1800`'],
    [{ pool_pre_ping: true }, '`check: AsyncConnectionPool.checkConnection`'],
    [{ acquireTimeoutMillis: 1000 }, '`timeout: 1`'],
    [{ leakDetectionThreshold: 2000 }, '`leakThreshold: 2`'],
    [{ connection_limit: 5 }, '`maxSize: 5`'],
    [{ command_timeout: 5 }, 'AbortSignal.timeout'],
    // Slips of the pen
    [{ maxSzie: 5 }, '`maxSize: 5`'],
    [{ maxsize: 5 }, '`maxSize: 5`'],
    [{ 'max-size': 5 }, '`maxSize: 5`'],
    [{ timout: 5 }, '`timeout: 5`'],
    [{ configureConnection: () => undefined }, 'the options are minSize, maxSize'],
    [{ recconectFailed: () => undefined }, '`reconnectFailed: …`'],
  ])('a pool refuses %o', async (given, written) => {
    const [name] = Object.keys(given);
    const message = await poolRefusal(given);
    expect(message).toContain(`unknown option \`${name!}\` of new AsyncConnectionPool()`);
    expect(message).toContain(written);
    expect(message).not.toContain('hunter2');
  });

  test.each<[given: object, written: string]>([
    [{ row_factory: () => undefined }, '`rowFactory: …`'],
    [{ connectionTimeoutMillis: 2500 }, '`connect_timeout=3`'],
    [{ connectTimeout: 5 }, '`connect_timeout=5`'],
    [{ maxSize: 5 }, '`new AsyncConnectionPool(conninfo, { maxSize: 5 })`'],
    [{ max: 5 }, '`new AsyncConnectionPool(conninfo, { maxSize: 5 })`'],
    [{ dbname: 'app' }, '`dbname=…`'],
    [{ password: 'hunter2' }, '`{ password: … }`'],
    [{ prepare: false }, '`prepareThreshold: null`'],
    [{ autoCommit: true }, '`autocommit: true`'],
    [
      { isolation_level: 'SERIALIZABLE' },
      '`pool.withTransaction(async (conn, tx) => { … }, { isolationLevel: … })`',
    ],
  ])('AsyncConnection.connect() refuses %o', async (given, written) => {
    const message = await connectRefusal(given);
    expect(message).toContain(`of AsyncConnection.connect()`);
    expect(message).toContain(written);
    expect(message).not.toContain('hunter2');
    expect(await poolRefusal({ connectOptions: given })).toContain('of connectOptions: ');
  });

  test.each<[given: object, written: string]>([
    [{ database: 'app' }, '`dbname=…`'],
    [{ username: 'me' }, '`user=…`'],
    [{ hots: 'x' }, '`host=…`'],
    [{ max: 5 }, '`new AsyncConnectionPool(conninfo, { maxSize: 5 })`'],
    [{ connectionString: 'postgresql://me:hunter2@h' }, 'first argument'],
    [{ ssl: { rejectUnauthorized: false } }, '`sslmode=require`'],
    [{ applicationName: 'app' }, '`application_name=…`'],
    [{ rowFactory: () => undefined }, '`AsyncConnection.connect(conninfo, { rowFactory: … })`'],
  ])('connection parameters refuse %o', async (given, written) => {
    const params = { host: '127.0.0.1', ...given } as ConninfoParams;
    for (const call of [() => new AsyncConnectionPool(params), () => AsyncConnection.connect(params)]) {
      const message = await refusal(call);
      expect(message).toContain(`"${Object.keys(given)[0]!}"`);
      expect(message).toContain(written);
      expect(message).not.toContain('hunter2');
    }
  });

  test('all that are unknown are told of at once', async () => {
    expect((await poolRefusal({ max: 10, idleTimeoutMillis: 1000, host: 'h' })).split('\n')).toHaveLength(3);
  });

  test('an option that is undefined is as if it were not given', async () => {
    await using connection = await AsyncConnection.connect(dsn(), {
      autocommit: undefined,
      signal: undefined,
    });
    const cursor = await connection.execute('select 1', [], { rowFactory: undefined, prepare: undefined });
    expect(await cursor.fetchone()).toEqual([1]);
    connection.cursor({ name: undefined, scrollable: undefined } as object);
  });

  test('options may be of a class, or inherit from others', async () => {
    class Settings {
      maxSize = 2;
      readonly minSize = 1;
    }
    const pool = new AsyncConnectionPool(dsn(), Object.assign(new Settings(), { open: false }));
    expect(pool.maxSize).toBe(2);
    const inherited = Object.create({ maxSzie: 3 }) as PoolOptions;
    expect(await refusal(() => new AsyncConnectionPool(dsn(), inherited))).toContain('`maxSize: 3`');
  });
});

/** Each call that takes options, with these, and the name that messages have for it. */
const DOORS: readonly [name: string, call: (given: never, parts: Parts) => unknown][] = [
  ['AsyncConnection.connect()', (given) => AsyncConnection.connect(dsn(), given)],
  ['AsyncConnection.withConnection()', (given) => AsyncConnection.withConnection(dsn(), () => 1, given)],
  ['new AsyncConnectionPool()', (given) => new AsyncConnectionPool(dsn(), given)],
  ['connectOptions', (given) => new AsyncConnectionPool(dsn(), { open: false, connectOptions: given })],
  ['pool.connection()', (given, { pool }) => pool.connection(given)],
  ['pool.getconn()', (given, { pool }) => pool.getconn(given)],
  ['pool.withConnection()', (given, { pool }) => pool.withConnection(() => 1, given)],
  ['pool.withTransaction()', (given, { pool }) => pool.withTransaction(() => 1, given)],
  ['pool.execute()', (given, { pool }) => pool.execute('select 1', [], given)],
  ['pool.map()', (given, { pool }) => pool.map([1], () => Promise.resolve(1), given)],
  ['pool.open()', (given, { pool }) => pool.open(given)],
  ['pool.wait()', (given, { pool }) => pool.wait(given)],
  ['pool.check()', (given, { pool }) => pool.check(given)],
  ['new Listener()', (given, { pool }) => new Listener(pool, 'jobs', given)],
  ['conn.cursor()', (given, { conn }) => conn.cursor(given)],
  ['conn.execute()', (given, { conn }) => conn.execute('select 1', [], given)],
  ['conn.commit()', (given, { conn }) => conn.commit(given)],
  ['conn.rollback()', (given, { conn }) => conn.rollback(given)],
  ['transaction()', (given, { conn }) => conn.transaction(given)],
  ['withTransaction()', (given, { conn }) => conn.withTransaction(() => 1, given)],
  ['transaction()', (given, { conn }) => conn.withTransaction((tx) => tx.transaction(given))],
  ['tx.commit()', (given, { conn }) => conn.withTransaction((tx) => tx.commit(given))],
  ['tx.rollback()', (given, { conn }) => conn.withTransaction((tx) => tx.rollback(given))],
  ['conn.withPipeline()', (given, { conn }) => conn.withPipeline(() => Promise.resolve(), given)],
  ['pipeline.sync()', (given, { conn }) => conn.withPipeline((pipeline) => pipeline.sync(given))],
  ['conn.notifies()', (given, { conn }) => conn.notifies(given)],
  ['conn.cancelSafe()', (given, { conn }) => conn.cancelSafe(given)],
  ['conn.setAutocommit()', (given, { conn }) => conn.setAutocommit(true, given)],
  ['conn.setReadOnly()', (given, { conn }) => conn.setReadOnly(true, given)],
  ['conn.tpcBegin()', (given, { conn }) => conn.tpcBegin('x', given)],
  ['conn.tpcRecover()', (given, { conn }) => conn.tpcRecover(given)],
  ['new AsyncCursor()', (given, { conn }) => new AsyncCursor(conn, given)],
  ['new AsyncCursor()', (given, { conn }) => new AsyncClientCursor(conn, given)],
  ['new AsyncServerCursor()', (given, { conn }) => new AsyncServerCursor(conn, 'c', given)],
  ['cursor.execute()', (given, { conn }) => conn.cursor().execute('select 1', [], given)],
  ['cursor.execute()', (given, { conn }) => new AsyncClientCursor(conn).execute('select 1', [], given)],
  ['cursor.execute()', (given, { conn }) => conn.cursor({ name: 'c' }).execute('select 1', [], given)],
  ['cursor.executemany()', (given, { conn }) => conn.cursor().executemany('select 1', [[]], given)],
  ['cursor.stream()', (given, { conn }) => conn.cursor().stream('select 1', [], given)],
  ['cursor.copy()', (given, { conn }) => conn.cursor().copy('copy (select 1) to stdout', [], given)],
  [
    'cursor.withCopy()',
    (given, { conn }) => conn.cursor().withCopy('copy (select 1) to stdout', () => 1, [], given),
  ],
  ['cursor.fetchone()', (given, { conn }) => conn.cursor({ name: 'c' }).fetchone(given)],
  ['cursor.fetchmany()', (given, { conn }) => conn.cursor({ name: 'c' }).fetchmany(1, given)],
  ['cursor.fetchall()', (given, { conn }) => conn.cursor({ name: 'c' }).fetchall(given)],
  ['cursor.scroll()', (given, { conn }) => conn.cursor({ name: 'c' }).scroll(1, 'relative', given)],
  ['TypeInfo.fetch()', (given, { conn }) => TypeInfo.fetch(conn, 'text', given)],
  ['TypeInfo.fetch()', (given, { conn }) => CompositeInfo.fetch(conn, 'text', given)],
  ['new TypeInfo()', (given) => new TypeInfo('t', 1, 2, given)],
  [
    'registerComposite()',
    (given, { conn }) => {
      registerComposite(new CompositeInfo('c', 1, 2, { fieldNames: [], fieldTypes: [] }), conn, given);
    },
  ],
  [
    'registerEnum()',
    (given, { conn }) => {
      registerEnum(new EnumInfo('e', 1, 2, []), conn, given);
    },
  ],
  [
    'registerTemporal()',
    (given, { conn }) => {
      registerTemporal(conn, given);
    },
  ],
  ['new Json()', (given) => new Json(1, given)],
  ['new Jsonb()', (given) => new Jsonb(1, given)],
];

interface Parts {
  readonly pool: AsyncConnectionPool;
  readonly conn: AsyncConnection;
}

async function parts(): Promise<Parts> {
  return { pool: makePool({ maxSize: 1 }), conn: await connect({ autocommit: true }) };
}

describe('each call that takes options', () => {
  test.each(DOORS)('%s refuses one that it does not know', async (name, call) => {
    const them = await parts();
    const message = await refusal(() => call({ nonsense: 1 } as never, them));
    expect(message).toContain(`unknown option \`nonsense\` of ${name}`);
  });

  test.each(DOORS)(
    '%s refuses what is no object of options, and shows how to write it',
    async (name, call) => {
      const them = await parts();
      for (const given of [null, 'postgresql://me:hunter2@h', [], () => 1, new Map(), Promise.resolve({})]) {
        // The options that a pool connects with may come from a function.
        if (name === 'connectOptions' && typeof given === 'function') continue;
        const message = await refusal(() => call(given as never, them));
        expect(message).toContain(`expected the options of ${name} to be an object, got `);
        expect(message).toMatch(/; write `.*\{ /);
        expect(message).not.toContain('hunter2');
      }
    },
  );

  test.each(DOORS.filter(([name]) => /connection\(\)|map|execute|Listener/.test(name)))(
    '%s tells a signal that is not in an object from options',
    async (_name, call) => {
      const them = await parts();
      const { signal } = new AbortController();
      expect(await refusal(() => call(signal as never, them))).toContain('write it as `{ signal }`');
      expect(await refusal(() => call({ signal: new AbortController() } as never, them))).toBe(
        'expected `signal` to be an AbortSignal, got AbortController',
      );
    },
  );

  test('a refused call leaves nothing behind: no connection, no statement, no transaction', async () => {
    const { pool, conn } = await parts();
    await pool.wait();
    for (const [, call] of DOORS) await refusal(() => call({ nonsense: 1 } as never, { pool, conn }));
    expect(conn.info.transactionStatus).toBe('IDLE');
    expect(await pool.withConnection(() => 'there')).toBe('there');
    expect(pool.getStats()).toMatchObject({ poolAvailable: 1, requestsWaiting: 0 });
    await using cursor = conn.cursor();
    await refusal(() => cursor.execute('select 1', [], { nonsense: 1 } as never));
    await cursor.execute('select 2');
    expect(await cursor.fetchone()).toEqual([2]);
  });

  test('an option of another call is sent there', async () => {
    const { conn, pool } = await parts();
    expect(
      await refusal(() => conn.cursor().execute('select 1', [], { rowFactory: () => 1 } as never)),
    ).toContain('`AsyncConnection.connect(conninfo, { rowFactory: … })`');
    expect(await refusal(() => pool.execute('select 1', [], { prepare: true } as never))).toContain(
      'prepare',
    );
    expect(await refusal(() => conn.cursor({ scrollable: true } as never))).toContain('which has a name');
  });
});

describe('a call that takes a function', () => {
  const calls: readonly [name: string, call: (parts: Parts, fn: never, options: never) => unknown][] = [
    [
      'AsyncConnection.withConnection()',
      (_, fn, options) => AsyncConnection.withConnection(dsn(), fn, options),
    ],
    ['pool.withConnection()', ({ pool }, fn, options) => pool.withConnection(fn, options)],
    ['pool.withTransaction()', ({ pool }, fn, options) => pool.withTransaction(fn, options)],
    ['pool.map()', ({ pool }, fn, options) => pool.map([1], fn, options)],
    ['withTransaction()', ({ conn }, fn, options) => conn.withTransaction(fn, options)],
    ['conn.withPipeline()', ({ conn }, fn, options) => conn.withPipeline(fn, options)],
    [
      'cursor.withCopy()',
      ({ conn }, fn, options) => conn.cursor().withCopy('copy (select 1) to stdout', fn, [], options),
    ],
  ];

  test.each(calls)('%s says so where there is none', async (name, call) => {
    const them = await parts();
    for (const [fn, got] of [
      [undefined, 'undefined'],
      [null, 'null'],
      ['select 1', 'a string'],
      [{}, 'an object'],
      [Promise.resolve(), 'a promise'],
    ] as const) {
      const message = await refusal(() => call(them, fn as never, undefined as never));
      expect(message).toContain(`${name} needs a function, got ${got}; write \``);
    }
  });

  test.each(calls)('%s says so where it stands behind the options', async (name, call) => {
    const them = await parts();
    const message = await refusal(() => call(them, {} as never, (() => 1) as never));
    expect(message).toContain(`the arguments of ${name} are in the wrong order; write \``);
    expect(message).toContain('=> { … }');
  });
});
