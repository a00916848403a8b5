import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  sql,
  type QueryMessage,
} from '../../src/index.js';
import { connect, dsn, terminate } from '../support/database.js';
import { ended, traced } from '../support/diagnostics.js';
import { untilRunning } from '../support/until-running.js';

const CHANNEL = 'usingpg:query';
const events = (): ReturnType<typeof traced<QueryMessage>> => traced<QueryMessage>(CHANNEL);

describe('the channel usingpg:query', () => {
  it('reports a statement from start to end in one object, with its server and its outcome', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    await connection.execute('select n from generate_series(1, %s) n', [3]);
    expect(seen.map(({ event }) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(new Set(seen.map(({ identity }) => identity)).size).toBe(1);
    const { host, port, dbname, user, backendPid } = connection.info;
    const known = {
      query: 'select n from generate_series(1, $1) n',
      operation: 'SELECT',
      kind: 'statement',
      batchSize: 1,
      values: expect.any(Function) as () => unknown,
      pool: null,
      host,
      port,
      dbname,
      user,
      backendPid,
      error: undefined,
      sqlstate: null,
    };
    expect(seen[0]!.message).toEqual({ ...known, tag: null, rowcount: null, seconds: null });
    const last = seen.at(-1)!.message;
    expect(last).toEqual({ ...known, tag: 'SELECT 3', rowcount: 3, seconds: expect.any(Number) as number });
    expect(last.seconds).toBeGreaterThan(0);
    expect(last.seconds).toBeLessThan(30);
  });

  it('reports a failing statement with its error and SQLSTATE', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    const error = await connection.execute('select 1/0').then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(seen.map(({ event }) => event)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    const [failed] = ended(seen);
    expect(failed!.error).toBe(error);
    expect(failed).toMatchObject({ sqlstate: '22012', tag: null, rowcount: null });
  });

  it('reports a statement whose connection is lost', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    const running = connection.execute('select pg_sleep(60)');
    running.catch(() => undefined);
    await terminate(connection.info.backendPid);
    await expect(running).rejects.toThrow(errors.AdminShutdown);
    expect(ended(seen)).toMatchObject([{ query: 'select pg_sleep(60)', sqlstate: '57P01' }]);
  });

  it('reports an aborted statement with the reason of the abort', async () => {
    const connection = await connect({ autocommit: true });
    const { backendPid } = connection.info;
    const seen = events();
    const running = connection.execute('select pg_sleep(60)');
    running.catch(() => undefined);
    await untilRunning(dsn(), backendPid);
    await connection.cancelSafe();
    await expect(running).rejects.toThrow(errors.QueryCanceled);
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = connection.execute('select pg_sleep(61)', null, { signal: controller.signal });
    aborted.catch(() => undefined);
    await untilRunning(dsn(), backendPid);
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    // untilRunning() executes statements of its own.
    expect(ended(seen).filter((message) => message.backendPid === backendPid)).toMatchObject([
      { query: 'select pg_sleep(60)', sqlstate: '57014' },
      { query: 'select pg_sleep(61)', error: reason, sqlstate: null },
    ]);
  });

  it('reports the commands that begin and end transactions, but not unnecessary ones', async () => {
    const connection = await connect();
    const seen = events();
    await connection.rollback();
    await connection.commit();
    expect(seen).toEqual([]);
    await connection.execute('select 1');
    await connection.commit();
    await connection.withTransaction(() => connection.withTransaction(async () => undefined));
    expect(ended(seen).map(({ operation, tag }) => [operation, tag])).toEqual([
      ['SELECT', 'SELECT 1'],
      ['COMMIT', 'COMMIT'],
      ['BEGIN', 'BEGIN'],
      ['SAVEPOINT', 'SAVEPOINT'],
      ['RELEASE', 'RELEASE'],
      ['COMMIT', 'COMMIT'],
    ]);
  });

  it('reports the first word as the operation, whatever is before it', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    await connection.execute(`-- one\n/* two */ ((${'/**/'.repeat(1000)} select 1))`);
    await connection.execute('/**/'.repeat(1000));
    expect(ended(seen).map(({ operation }) => operation)).toEqual(['SELECT', null]);
  });

  it('reports executemany() as one batch, with all its rows', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('create temp table many (n int)');
    const seen = events();
    await connection.cursor().executemany('insert into many values (%s)', [[1], [2], [3]]);
    expect(ended(seen)).toMatchObject([
      { kind: 'batch', operation: 'INSERT', batchSize: 3, rowcount: 3, tag: 'INSERT 0 1' },
    ]);
  });

  it('reports a stream at its end, with all its rows, read to the end or left', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = connection.cursor();
    const seen = events();
    let rows = 0;
    for await (const _ of cursor.stream('select * from generate_series(1, 250)', null, { size: 100 })) {
      if (rows++ === 0) expect(ended(seen)).toEqual([]);
    }
    expect(ended(seen)).toMatchObject([{ kind: 'stream', rowcount: 250 }]);
    for await (const _ of cursor.stream('select * from generate_series(1, 1000000)', null, { size: 100 }))
      break;
    const left = ended(seen)[1]!;
    expect(left).toMatchObject({ kind: 'stream', tag: null, error: undefined });
    expect(left.rowcount).toBeGreaterThanOrEqual(100);
    expect(left.rowcount).toBeLessThan(1000);
  });

  it('reports a COPY at its end, in either direction', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('create temp table copied (n int)');
    const cursor = connection.cursor();
    const seen = events();
    await cursor.withCopy('copy copied from stdin', async (copy) => {
      await copy.writeRow([1]);
      await copy.writeRow([2]);
      expect(ended(seen)).toEqual([]);
    });
    await cursor.withCopy(
      'copy (select n from copied where n > %s) to stdout',
      async (copy) => {
        while ((await copy.readRow()) !== null);
      },
      [1],
    );
    await expect(
      cursor.withCopy('copy copied from stdin', async (copy) => copy.write('three\n')),
    ).rejects.toThrow(errors.InvalidTextRepresentation);
    expect(ended(seen)).toMatchObject([
      { kind: 'copy', operation: 'COPY', tag: 'COPY 2', rowcount: 2 },
      { kind: 'copy', query: 'copy (select n from copied where n > $1) to stdout', rowcount: 1 },
      { kind: 'copy', sqlstate: '22P02', tag: null },
    ]);
  });

  it('reports the statements of a server-side cursor', async () => {
    const connection = await connect();
    const cursor = connection.cursor({ name: 'told' });
    const seen = events();
    await cursor.execute('select * from generate_series(1, %s)', [5]);
    await cursor.fetchmany(2);
    await cursor.close();
    expect(ended(seen)).toMatchObject([
      { operation: 'DECLARE', query: 'DECLARE "told" CURSOR FOR select * from generate_series(1, $1)' },
      { kind: 'portal', operation: 'DESCRIBE' },
      { operation: 'FETCH', tag: 'FETCH 2', rowcount: 2 },
      { kind: 'portal', operation: 'CLOSE' },
    ]);
  });

  it('reports each statement of a pipeline, skipped ones included', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    await connection
      .withPipeline(async () => {
        await connection.execute('select 1');
        await connection.execute('select 1/0');
        await connection.execute('select 2');
      })
      .catch(() => undefined);
    const told = ended(seen).filter(({ operation }) => operation === 'SELECT');
    expect(told.map(({ query, error }) => [query, (error as Error | undefined)?.name])).toEqual([
      ['select 1', undefined],
      ['select 1/0', 'DivisionByZero'],
      ['select 2', 'PipelineAborted'],
    ]);
  });

  it('adds up the rows of several statements, and counts none where the command does not', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    await connection.execute("values (1), (2); select 3; set application_name = 'several'");
    await connection.execute(`set application_name = '${conninfoToDict(dsn())['application_name']!}'`);
    await connection.execute('');
    await connection.execute('-- a remark; /* and\n/* another */ ( values (1))');
    expect(ended(seen).map(({ operation, tag, rowcount }) => [operation, tag, rowcount])).toEqual([
      ['VALUES', 'SET', 3],
      ['SET', 'SET', null],
      [null, null, null],
      ['VALUES', 'SELECT 1', 1],
    ]);
  });

  it('shows no value of a parameter, even if the client inserts it into the text', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = new AsyncClientCursor(connection);
    const seen = events();
    await cursor.execute('select %s::text', ['secret value']);
    await cursor.execute(sql`select ${'secret value'}::text`);
    await cursor.executemany('select %s::text', [['secret value'], ['secret value']]);
    await connection.execute('select %s::text', ['secret value']);
    await connection.execute(sql`select ${'secret value'}::text`);
    const error = await cursor.execute('select %s::int', ['secret value']).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.InvalidTextRepresentation);
    const told = ended(seen).filter(({ operation }) => operation === 'SELECT');
    expect(told.map(({ query }) => query)).toEqual([
      ...Array<string>(6).fill('select $1::text'),
      'select $1::int',
    ]);
    expect(JSON.stringify(told.slice(0, 6))).not.toContain('secret');
  });

  it('gives the values of parameters to who calls for them', async () => {
    const connection = await connect({ autocommit: true });
    const seen = events();
    await connection.execute('select %s::text, %s::int, %s::text', ['a value', 4711, null]);
    await connection.cursor().executemany('select %s::bytea', [[Buffer.from('a')], [Buffer.from('b')]]);
    await connection.execute('select 1');
    await connection.execute('select %s::text', []).catch(() => undefined);
    await new AsyncClientCursor(connection).execute('select %s::text', ['a value']);
    expect(ended(seen).map(({ values }) => values())).toEqual([
      [['a value', '4711', null]],
      [[String.raw`\x61`], [String.raw`\x62`]],
      [],
      [],
    ]);
    expect(JSON.stringify(ended(seen))).not.toMatch(/a value|4711/);
  });

  it('names the pool', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, name: 'watched' });
    await pool.wait();
    const seen = events();
    await pool.execute('select 1');
    expect(ended(seen).map(({ pool: name, operation }) => [name, operation])).toEqual([
      ['watched', 'SELECT'],
      ['watched', 'COMMIT'],
    ]);
  });

  it('binds stores to start, so that a statement belongs to its caller’s context', async () => {
    interface Span {
      readonly name: string;
      readonly parent: Span | undefined;
    }
    const spans = new AsyncLocalStorage<Span>();
    const { start } = tracingChannel<Span, QueryMessage>(CHANNEL);
    const made: Span[] = [];
    start.bindStore(spans, ({ query }) => {
      const span = { name: query, parent: spans.getStore() };
      made.push(span);
      return span;
    });
    const atEnd: unknown[] = [];
    const note = (): void => {
      atEnd.push(spans.getStore());
    };
    subscribe(`tracing:${CHANNEL}:asyncEnd`, note);
    onTestFinished(() => {
      start.unbindStore(spans);
      unsubscribe(`tracing:${CHANNEL}:asyncEnd`, note);
    });
    await using pool = new AsyncConnectionPool(inject('dsn'), { minSize: 1, maxSize: 2 });
    const task = (name: string): Promise<void> =>
      spans.run({ name, parent: undefined }, async () => {
        await using connection = await pool.connection();
        await connection.setAutocommit(true);
        await connection.execute(`select '${name}'`);
        await connection.cursor().executemany(`select '${name}', %s::int`, [[1], [2]]);
        for await (const _ of connection.cursor().stream(`select '${name} stream'`));
        expect(spans.getStore()?.name).toBe(name);
      });
    await Promise.all(Array.from({ length: 6 }, (_, i) => task(`task ${String(i)}`)));
    expect(made).toHaveLength(18);
    for (const { name, parent } of made) {
      expect(parent?.parent).toBeUndefined();
      expect(name).toContain(`'${String(parent?.name)}`);
    }
    expect(new Set(atEnd)).toEqual(new Set(made));
  });
});
