import type * as Library from '../../src/index.js';

/** What the calls are made with. */
export interface Situation {
  readonly usingpg: typeof Library;
  /** Of a superuser. */
  readonly dsn: string;
  /** A connection that is closed at the end. */
  readonly connect: (options?: Library.ConnectOptions) => Promise<Library.AsyncConnection>;
  /** A pool that is closed at the end; by default of one connection. */
  readonly pool: (options?: Library.PoolOptions, dsn?: string) => Library.AsyncConnectionPool;
}

const NOWHERE = 'postgresql://nobody@127.0.0.1:1/nowhere';
const BAD = 'SELECT 1 / 0';
const BAD_SECOND = 'SELECT 1 / (3 - n) FROM generate_series(1, 5) n';
const DEFERRED =
  'CREATE TEMP TABLE deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO deferred VALUES (1)';

async function* asynchronously<T>(...items: T[]): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

/** A connection whose backend has been ended. */
async function lostConnection({ connect }: Situation): Promise<Library.AsyncConnection> {
  const conn = await connect();
  await conn.execute('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
  return conn;
}

/** A pool whose only connection is lent out, and not coming back. */
async function emptyPool(situation: Situation): Promise<Library.AsyncConnectionPool> {
  const pool = situation.pool({ minSize: 1, timeout: 0.05 });
  await pool.connection();
  return pool;
}

/** Calls that reject, one of each kind, each within a function whose name is to be found in the stack of the error. */
export const calls: Record<string, (situation: Situation) => Promise<unknown>> = {
  // --- cursors
  'conn.execute()': async function connExecute({ connect }) {
    const conn = await connect();
    await conn.execute(BAD);
  },
  'conn.execute() with parameters': async function executeWithParameters({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT 1 / %s', [0]);
  },
  'a prepared statement': async function executePrepared({ connect }) {
    const conn = await connect({ prepareThreshold: 0 });
    await conn.execute('SELECT 1 / %s::int', [1]);
    await conn.execute('SELECT 1 / %s::int', [0]);
  },
  'cur.execute()': async function cursorExecute({ connect }) {
    const cur = (await connect()).cursor();
    await cur.execute(BAD);
  },
  'execute() of a client cursor': async function clientExecute({ connect, usingpg }) {
    const cur = new usingpg.AsyncClientCursor(await connect());
    await cur.execute('SELECT 1 / %s', [0]);
  },
  'a value that can not be sent': async function valueRefused({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT %s', [Symbol('what')]);
  },
  'a value that can not be loaded': async function valueNotLoaded({ connect }) {
    const conn = await connect();
    conn.adapters.registerLoader('int4', () => {
      throw new RangeError('not this one');
    });
    await conn.execute('SELECT 1');
  },
  'statements at once: Promise.all': async function allAtOnce({ connect }) {
    const conn = await connect({ autocommit: true });
    await Promise.all([conn.execute('SELECT 1'), conn.execute(BAD), conn.execute('SELECT 2')]);
  },
  'statements at once: Promise.allSettled': async function allSettledAtOnce({ connect }) {
    const conn = await connect({ autocommit: true });
    const outcomes = await Promise.allSettled([conn.execute('SELECT 1'), conn.execute(BAD)]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  },
  'a chain of then()': async function chained({ connect }) {
    const conn = await connect();
    await conn.execute(BAD).then((cursor) => cursor.fetchall());
  },
  'a statement that waits for its turn': async function waitsForItsTurn({ connect }) {
    const conn = await connect();
    void conn.execute('SELECT pg_sleep(0.05)');
    await conn.execute(BAD);
  },
  'executemany()': async function manyAtOnce({ connect }) {
    const cur = (await connect()).cursor();
    await cur.executemany('SELECT 1 / %s::int', [[1], [0]]);
  },
  'executemany() from an asynchronous source': async function manyAsynchronously({ connect }) {
    const cur = (await connect()).cursor();
    await cur.executemany('SELECT 1 / %s::int', asynchronously([1], [0]));
  },
  'executemany() with a value that can not be sent': async function manyRefused({ connect }) {
    const cur = (await connect()).cursor();
    await cur.executemany('SELECT %s', asynchronously([1], [Symbol('what')]));
  },
  'fetchone() without a result': async function fetchNothing({ connect }) {
    const cur = (await connect()).cursor();
    await cur.fetchone();
  },
  'iteration without a result': async function iterateNothing({ connect }) {
    for await (const row of (await connect()).cursor()) await Promise.resolve(row);
  },
  'stream()': async function streamFirst({ connect }) {
    for await (const row of (await connect()).cursor().stream(BAD)) await Promise.resolve(row);
  },
  'stream() among its rows': async function streamAmong({ connect }) {
    const cur = (await connect()).cursor();
    for await (const row of cur.stream(BAD_SECOND, null, { size: 1 })) await Promise.resolve(row);
  },
  // --- COPY
  'copy()': async function copyBegins({ connect }) {
    const cur = (await connect()).cursor();
    await cur.copy('COPY nowhere FROM STDIN');
  },
  'copy.write()': async function copyWrites({ connect }) {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE target (n int)');
    const copy = await conn.cursor().copy('COPY target FROM STDIN');
    for (;;) await copy.write('nonsense\n'.repeat(10_000));
  },
  'copy.writeRow()': async function copyWritesRows({ connect }) {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE target (n int)');
    const copy = await conn.cursor().copy('COPY target FROM STDIN');
    for (;;) await copy.writeRow(['nonsense'.repeat(1000)]);
  },
  'copy.finish()': async function copyFinishes({ connect }) {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE target (n int)');
    await using copy = await conn.cursor().copy('COPY target FROM STDIN');
    await copy.write('nonsense\n');
    await copy.finish();
  },
  'copy.read()': async function copyReads({ connect }) {
    const copy = await (await connect()).cursor().copy(`COPY (${BAD_SECOND}) TO STDOUT`);
    while ((await copy.read()).length > 0);
  },
  'iteration of a COPY': async function copyIterates({ connect }) {
    const copy = await (await connect()).cursor().copy(`COPY (${BAD_SECOND}) TO STDOUT`);
    for await (const piece of copy) await Promise.resolve(piece);
  },
  'copy.readRow()': async function copyReadsRows({ connect }) {
    const copy = await (await connect()).cursor().copy(`COPY (${BAD_SECOND}) TO STDOUT`);
    while ((await copy.readRow()) !== null);
  },
  'copy.rows()': async function copyIteratesRows({ connect }) {
    const copy = await (await connect()).cursor().copy(`COPY (${BAD_SECOND}) TO STDOUT`);
    for await (const row of copy.rows()) await Promise.resolve(row);
  },
  'withCopy(), at its end': async function copyIsLeft({ connect }) {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE target (n int)');
    await conn.cursor().withCopy('COPY target FROM STDIN', (copy) => copy.write('nonsense\n'));
  },
  "the 'error' of copy.writable()": async function copyIsStreamedTo({ connect }) {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE target (n int)');
    const stream = (await conn.cursor().copy('COPY target FROM STDIN')).writable();
    stream.end('nonsense\n');
    await new Promise((_, reject) => stream.once('error', reject));
  },
  "the 'error' of copy.readable()": async function copyIsStreamedFrom({ connect }) {
    const stream = (await (await connect()).cursor().copy(`COPY (${BAD_SECOND}) TO STDOUT`)).readable();
    stream.resume();
    await new Promise((_, reject) => stream.once('error', reject));
  },
  // --- transactions
  'conn.commit() of what the server refuses': async function commitRefused({ connect }) {
    const conn = await connect();
    await conn.execute(DEFERRED);
    await conn.execute('INSERT INTO deferred VALUES (1)');
    await conn.commit();
  },
  'conn.commit() of a failed transaction': async function commitFailed({ connect }) {
    const conn = await connect();
    await conn.execute(BAD).catch(() => undefined);
    await conn.commit();
  },
  'conn.commit() on a lost connection': async function commitLost(situation) {
    await (await lostConnection(situation)).commit();
  },
  'conn.rollback() on a lost connection': async function rollbackLost(situation) {
    await (await lostConnection(situation)).rollback();
  },
  'withTransaction(), at its end': async function blockRefused({ connect }) {
    const conn = await connect();
    await conn.withTransaction(async () => {
      await conn.execute(DEFERRED);
      await conn.execute('INSERT INTO deferred VALUES (1)');
    });
  },
  'withTransaction(), its beginning': async function blockNotBegun(situation) {
    const conn = await lostConnection(situation);
    await conn.withTransaction(() => Promise.resolve());
  },
  'withTransaction(), a statement in it': async function outsideOfBlock({ connect }) {
    const conn = await connect();
    await conn.withTransaction(async () => {
      await conn.execute(BAD);
    });
  },
  'withTransaction() with a failed statement': async function blockFailed({ connect }) {
    const conn = await connect();
    await conn.withTransaction(() => conn.execute(BAD).catch(() => undefined));
  },
  'transaction()': async function transactionNotBegun(situation) {
    await (await lostConnection(situation)).transaction();
  },
  'tx.commit()': async function transactionRefused({ connect }) {
    const conn = await connect();
    await using tx = await conn.transaction();
    await conn.execute(DEFERRED);
    await conn.execute('INSERT INTO deferred VALUES (1)');
    await tx.commit();
  },
  'tx.commit() of a savepoint': async function savepointFailed({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT 1');
    await using tx = await conn.transaction();
    await conn.execute(BAD).catch(() => undefined);
    await tx.commit();
  },
  'tx.rollback() twice': async function rollbackTwice({ connect }) {
    const tx = await (await connect()).transaction();
    await tx.rollback();
    await tx.rollback();
  },
  // --- two phases
  'tpcBegin()': async function twoPhaseInTransaction({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT 1');
    await conn.tpcBegin('a');
  },
  'tpcPrepare()': async function twoPhaseNotPrepared({ connect }) {
    const conn = await connect();
    await conn.tpcBegin('calls-that-fail');
    await conn.execute(BAD).catch(() => undefined);
    await conn.tpcPrepare();
  },
  'tpcCommit()': async function twoPhaseUnknown({ connect }) {
    const conn = await connect();
    await conn.tpcCommit('there-is-none');
  },
  'tpcRecover()': async function twoPhaseLost(situation) {
    await (await lostConnection(situation)).tpcRecover();
  },
  // --- pipelines
  'a pipeline: sync() after execute()': async function pipelineSync({ connect }) {
    const conn = await connect();
    await using pipeline = conn.pipeline();
    await conn.execute(BAD);
    await pipeline.sync();
  },
  'a pipeline: what sync() itself meets': async function pipelineSyncRefused({ connect }) {
    const conn = await connect({ autocommit: true });
    await conn.execute(DEFERRED);
    await using pipeline = conn.pipeline();
    await conn.execute('INSERT INTO deferred VALUES (1)');
    await pipeline.sync();
  },
  'a pipeline: fetchone()': async function pipelineFetch({ connect }) {
    const conn = await connect();
    await conn.withPipeline(async () => {
      const cur = await conn.execute(BAD);
      await cur.fetchone();
    });
  },
  'a pipeline: iteration': async function pipelineIterate({ connect }) {
    const conn = await connect();
    await conn.withPipeline(async () => {
      for await (const row of await conn.execute(BAD)) await Promise.resolve(row);
    });
  },
  'a pipeline: its end': async function pipelineLeft({ connect }) {
    const conn = await connect();
    await conn.withPipeline(async () => {
      await conn.execute(BAD);
    });
  },
  'a pipeline: executemany()': async function pipelineMany({ connect }) {
    const conn = await connect();
    await using pipeline = conn.pipeline();
    await conn.cursor().executemany('SELECT 1 / %s::int', [[1], [0]]);
    await pipeline.sync();
  },
  'a pipeline: commit()': async function pipelineCommit({ connect }) {
    const conn = await connect();
    await using _pipeline = conn.pipeline();
    await conn.execute(BAD);
    await conn.commit();
  },
  // --- server-side cursors
  'execute() of a server-side cursor': async function serverExecute({ connect }) {
    await (await connect()).cursor({ name: 'far' }).execute('SELECT nothing');
  },
  'fetchone() of a server-side cursor': async function serverFetchone({ connect }) {
    const cur = (await connect()).cursor({ name: 'far' });
    await cur.execute(BAD_SECOND);
    while ((await cur.fetchone()) !== null);
  },
  'fetchall() of a server-side cursor': async function serverFetchall({ connect }) {
    const cur = (await connect()).cursor({ name: 'far' });
    await cur.execute(BAD_SECOND);
    await cur.fetchall();
  },
  'iteration of a server-side cursor': async function serverIterate({ connect }) {
    const cur = (await connect()).cursor({ name: 'far' });
    await cur.execute(BAD_SECOND);
    for await (const row of cur) await Promise.resolve(row);
  },
  'scroll() of a server-side cursor': async function serverScroll({ connect }) {
    const cur = (await connect()).cursor({ name: 'far', scrollable: false });
    await cur.execute('SELECT generate_series(1, 9)');
    await cur.fetchmany(5);
    await cur.scroll(-3);
  },
  // --- the rest of a connection
  'AsyncConnection.connect()': async function connectRefused({ usingpg }) {
    await usingpg.AsyncConnection.connect(NOWHERE);
  },
  'AsyncConnection.connect() to no database': async function connectNowhere({ usingpg, dsn }) {
    await usingpg.AsyncConnection.connect(usingpg.makeConninfo(dsn, { dbname: 'there_is_none' }));
  },
  'AsyncConnection.connect() in time': async function connectTimedOut({ usingpg }) {
    await usingpg.AsyncConnection.withConnection(NOWHERE, () => undefined);
  },
  'setAutocommit()': async function settingRefused({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT 1');
    await conn.setAutocommit(true);
  },
  'cancelSafe()': async function cancelTimedOut({ connect }) {
    const conn = await connect();
    const running = conn.execute('SELECT pg_sleep(60)').catch(() => undefined);
    try {
      const canceled = conn.cancelSafe({ timeout: 0 });
      // The time is over before the network has its turn.
      for (const end = performance.now() + 50; performance.now() < end;);
      await canceled;
    } finally {
      await conn.close();
      await running;
    }
  },
  'TypeInfo.fetch()': async function typeNotFetched({ connect, usingpg }) {
    await usingpg.TypeInfo.fetch(await connect(), 'no"type');
  },
  'CompositeInfo.fetch()': async function compositeNotFetched(situation) {
    await situation.usingpg.CompositeInfo.fetch(await lostConnection(situation), 'city');
  },
  'notifies()': async function notNotified(situation) {
    const conn = await situation.connect();
    const ended = conn.execute('SELECT pg_terminate_backend(pg_backend_pid()) FROM pg_sleep(0.05)');
    ended.catch(() => undefined);
    for await (const notify of conn.notifies()) await Promise.resolve(notify);
  },
  'a connection that is lost': async function lostMeanwhile({ connect }) {
    const conn = await connect();
    await conn.execute('SELECT pg_terminate_backend(pg_backend_pid())');
  },
  'a connection that is closed': async function closedMeanwhile({ connect }) {
    const conn = await connect();
    const statement = conn.execute('SELECT pg_sleep(60)');
    await Promise.all([statement, conn.close()]);
  },
  // --- pools
  'pool.connection() in vain': async function poolTimeout(situation) {
    await (await emptyPool(situation)).connection();
  },
  'pool.getconn() in vain': async function poolGetconn(situation) {
    await (await emptyPool(situation)).getconn();
  },
  'pool.withConnection() in vain': async function poolWithConnection(situation) {
    await (await emptyPool(situation)).withConnection(() => undefined);
  },
  'pool.execute() in vain': async function poolExecuteInVain(situation) {
    await (await emptyPool(situation)).execute('SELECT 1');
  },
  'pool.execute()': async function poolExecute({ pool }) {
    await pool().execute(BAD);
  },
  'pool.map() in vain': async function poolMapInVain(situation) {
    const pool = await emptyPool(situation);
    await pool.map([1, 2], () => Promise.resolve());
  },
  'pool.map(), a statement in it': async function outsideOfMap({ pool }) {
    await pool().map([1, 2], async (conn) => {
      await conn.execute(BAD);
    });
  },
  'pool.withConnection(), at its end': async function poolCommit({ pool }) {
    await pool().withConnection(async (conn) => {
      await conn.execute(BAD).catch(() => undefined);
    });
  },
  'pool.withTransaction() in vain': async function poolTransactionInVain(situation) {
    await (await emptyPool(situation)).withTransaction(() => Promise.resolve());
  },
  'pool.withTransaction(), at its end': async function poolTransaction({ pool }) {
    await pool().withTransaction(async (conn) => {
      await conn.execute(DEFERRED);
      await conn.execute('INSERT INTO deferred VALUES (1)');
    });
  },
  TooManyRequests: async function tooManyRequests({ pool }) {
    const small = pool({ minSize: 1, maxWaiting: 1 });
    await small.connection();
    const waiting = small.connection({ timeout: 0.1 }).catch(() => undefined);
    try {
      await small.connection();
    } finally {
      await waiting;
    }
  },
  PoolClosed: async function poolClosed({ pool }) {
    const closed = pool();
    await closed.close();
    await closed.connection();
  },
  'PoolClosed of one that waits': async function poolClosedMeanwhile(situation) {
    const pool = await emptyPool(situation);
    await Promise.all([pool.connection({ timeout: 60 }), pool.close(0)]);
  },
  'pool.wait()': async function poolNotReady({ pool }) {
    await pool({}, NOWHERE).wait(0.05);
  },
  'pool.open()': async function poolNotOpened({ pool }) {
    await pool({ open: false }, NOWHERE).open({ wait: true, timeout: 0.05 });
  },
  'pool.putconn()': async function poolNotLent({ pool, connect }) {
    await pool().putconn(await connect());
  },
  'a null pool that can not connect': async function nullPoolRefused({ usingpg }) {
    await using pool = new usingpg.AsyncNullConnectionPool(NOWHERE);
    await pool.connection();
  },
  'listener.listen()': async function listenerRefused({ usingpg, pool }) {
    const closed = pool();
    await closed.close();
    await new usingpg.Listener(closed, 'channel').listen();
  },
  'the loop of a Listener': async function listenerLoop({ usingpg, pool }) {
    const listened = pool();
    const listener = new usingpg.Listener(listened, 'channel');
    await listener.listen();
    void listened.close(0);
    for await (const event of listener) await Promise.resolve(event);
  },
};

/** Makes a call, and resolves with the error that it rejects with. */
export async function failureOf(
  usingpg: typeof Library,
  dsn: string,
  call: (situation: Situation) => Promise<unknown>,
): Promise<Error> {
  const opened: { close(): Promise<void> }[] = [];
  const situation: Situation = {
    usingpg,
    dsn,
    connect: async (options) => {
      const conn = await usingpg.AsyncConnection.connect(dsn, options);
      opened.push(conn);
      return conn;
    },
    pool: (options = {}, conninfo = dsn) => {
      const pool = new usingpg.AsyncConnectionPool(conninfo, { minSize: 1, ...options });
      opened.push({ close: () => pool.close(0) });
      return pool;
    },
  };
  try {
    await call(situation);
  } catch (error) {
    return error as Error;
  } finally {
    for (const each of opened) await each.close();
  }
  throw new Error(`${call.name} has not failed`);
}

/** Whether `name` is that of one of the first ten functions of a stack. */
export function leadsTo(name: string, stack: unknown): boolean {
  const frames = String(stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
  return frames.slice(0, 10).some((frame) => new RegExp(`\\b${name}\\b`).test(frame));
}
