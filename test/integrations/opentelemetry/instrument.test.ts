import { channel } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { context, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnection,
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  errors,
} from '../../../src/index.js';
import { instrument } from '../../../src/integrations/opentelemetry/index.js';
import { connect, dsn, makePool, rejection, terminate } from '../../support/database.js';
import { AsyncContextManager, RecordedMetrics, RecordedSpans } from '../../support/opentelemetry.js';
import { freePort } from '../../support/server.js';

let spans: RecordedSpans;
let metrics: RecordedMetrics;
let undo: () => void;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncContextManager());
});

afterAll(() => {
  context.disable();
});

beforeEach(() => {
  spans = new RecordedSpans();
  metrics = new RecordedMetrics();
  undo = instrument({ tracerProvider: spans.provider, meterProvider: metrics.provider });
  onTestFinished(async () => {
    undo();
    await spans.provider.shutdown();
    await metrics.provider.shutdown();
  });
});

/** Runs `fn` in a span of the program. */
function inSpan<T>(name: string, fn: (span: Span) => Promise<T>): Promise<T> {
  return spans.provider.getTracer('test').startActiveSpan(name, { root: true }, async (span) => {
    try {
      return await fn(span);
    } finally {
      span.end();
    }
  });
}

const ofQueries = (): ReadableSpan[] => spans.all.filter((span) => 'db.query.text' in span.attributes);
const namesOf = (all: readonly ReadableSpan[]): string[] => all.map(({ name }) => name);

describe('the span of a query', () => {
  it('has the attributes of the semantic conventions', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('CREATE TEMP TABLE city (id int, name text)');
    await connection.execute('SELECT name FROM city WHERE id = %s', [4711]);
    const { host, port, dbname } = connection.info;
    const span = ofQueries().at(-1)!;
    expect(span.name).toBe('SELECT city');
    expect(span.kind).toBe(SpanKind.CLIENT);
    expect(span.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.namespace': dbname,
      'db.query.text': 'SELECT name FROM city WHERE id = $1',
      'db.query.summary': 'SELECT city',
      'db.operation.name': 'SELECT',
      'db.collection.name': 'city',
      'server.address': host,
      'server.port': port,
    });
    expect(span.instrumentationScope.name).toBe('usingpg');
  });

  it('has its attributes from the start, for samplers', async () => {
    const sampled: unknown[] = [];
    undo();
    const provider = {
      getTracer: () => ({
        startSpan: (name: string, options: object) => {
          sampled.push({ name, ...options });
          return trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: 0 });
        },
        startActiveSpan: () => undefined as never,
      }),
    };
    undo = instrument({ tracerProvider: provider });
    const connection = await connect({ autocommit: true });
    await connection.execute('SELECT 1 FROM pg_class LIMIT 1');
    expect(sampled.at(-1)).toMatchObject({
      name: 'SELECT pg_class',
      attributes: {
        'db.query.summary': 'SELECT pg_class',
        'db.query.text': 'SELECT ? FROM pg_class LIMIT ?',
      },
    });
  });

  it('has the SQLSTATE of a failure, and no text of the server, which quotes values', async () => {
    const connection = await connect({ autocommit: true });
    await rejection(connection.execute('SELECT %s::int', ['secret']));
    const [span] = ofQueries();
    expect(span!.attributes).toMatchObject({ 'db.response.status_code': '22P02', 'error.type': '22P02' });
    expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: 'InvalidTextRepresentation' });
    expect(span!.events).toEqual([]);
    expect(JSON.stringify([span!.attributes, span!.status, span!.name])).not.toContain('secret');
  });

  it('has the class of a failure without a SQLSTATE', async () => {
    const connection = await connect({ autocommit: true });
    await rejection(connection.execute('SELECT 1', null, { signal: AbortSignal.abort() }));
    expect(ofQueries()[0]!.attributes).toMatchObject({ 'error.type': 'AbortError' });
    expect(ofQueries()[0]!.attributes).not.toHaveProperty('db.response.status_code');
    expect(ofQueries()[0]!.status).toEqual({ code: SpanStatusCode.ERROR });
  });

  it('has no value, however it is bound', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('SELECT %s::text', ['secret']);
    await new AsyncClientCursor(connection).execute('SELECT %s::text', ['secret']);
    await connection.cursor().executemany('SELECT %s::text', [['secret'], ['secret']]);
    await connection.execute("SELECT 'secret'::text, 4711 -- secret");
    expect(ofQueries()).toHaveLength(4);
    expect(JSON.stringify(ofQueries().map((span) => [span.name, span.attributes]))).not.toMatch(
      /secret|4711/,
    );
  });

  it('counts a batch', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('CREATE TEMP TABLE city (id int)');
    await connection.cursor().executemany('INSERT INTO city VALUES (%s)', [[1], [2], [3]]);
    expect(ofQueries().at(-1)).toMatchObject({
      name: 'BATCH INSERT city',
      attributes: {
        'db.operation.name': 'BATCH INSERT',
        'db.operation.batch.size': 3,
        'db.collection.name': 'city',
        'db.query.text': 'INSERT INTO city VALUES ($1)',
      },
    });
  });

  it('is named after the system if the text has no operation', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('-- nothing');
    expect(namesOf(ofQueries())).toEqual(['postgresql']);
  });
});

describe('the parent of a span', () => {
  it('is the span of the caller, in each of many tasks that share a pool', async () => {
    const pool = makePool({ minSize: 0, maxSize: 3 });
    const tasks = Array.from({ length: 20 }, (_, i) => `task ${String(i)}`);
    await Promise.all(
      tasks.map((task) =>
        inSpan(task, async () => {
          await pool.withConnection(async (connection) => {
            await connection.execute('SELECT %s::text AS task', [task]);
            await connection.cursor().executemany('SELECT %s::text', [[task], [task]]);
            for await (const _ of connection
              .cursor()
              .stream('SELECT * FROM generate_series(1, 250)', null, { size: 50 }));
          });
          await pool.execute('SELECT 1');
        }),
      ),
    );
    for (const task of tasks) {
      const children = spans.all.filter((span) => spans.parentOf(span)?.name === task);
      expect(namesOf(children).filter((name) => name !== 'usingpg.checkout')).toEqual([
        'SELECT',
        'BATCH SELECT',
        'SELECT generate_series',
        'COMMIT',
        'SELECT',
        'COMMIT',
      ]);
    }
    expect(spans.all.filter((span) => spans.parentOf(span) === undefined)).toHaveLength(tasks.length);
  });

  it('is the span in which a statement of a pipeline was queued', async () => {
    const connection = await connect({ autocommit: true });
    await connection.withPipeline(async () => {
      await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          inSpan(`task ${String(i)}`, async () => {
            await connection.execute(`SELECT FROM generate_series(1, %s) AS t${String(i)}`, [i]);
          }),
        ),
      );
    });
    const told = ofQueries().filter(({ name }) => name === 'SELECT generate_series');
    expect(told).toHaveLength(10);
    for (const span of told) {
      const { name } = spans.parentOf(span)!;
      expect(span.attributes['db.query.text']).toContain(name.replace('task ', 't'));
    }
  });

  it('is none where no span is active, and a query is not active itself', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('SELECT 1');
    expect(trace.getActiveSpan()).toBeUndefined();
    expect(ofQueries()[0]!.parentSpanContext).toBeUndefined();
  });
});

describe('connecting', () => {
  it('is a span of whoever opens a connection, and not of whoever a pool needs one for', async () => {
    await inSpan('alone', () => AsyncConnection.withConnection(dsn(), () => undefined));
    const [span] = spans.all.filter(({ name }) => name.startsWith('connect '));
    expect(span).toMatchObject({ kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'postgresql' } });
    expect(span!.name).toBe(`connect ${String(span!.attributes['db.namespace'])}`);
    expect(spans.parentOf(span!)?.name).toBe('alone');
    const pool = makePool({ minSize: 0, maxSize: 1 });
    await inSpan('with a pool', () => pool.execute('SELECT 1'));
    expect(spans.all.filter(({ name }) => name.startsWith('connect '))).toHaveLength(1);
  });

  it('has its failure', async () => {
    const port = await freePort();
    await rejection(AsyncConnection.connect({ host: '127.0.0.1', port, dbname: 'app' }));
    const [span] = spans.named('connect app');
    expect(span!.attributes).toMatchObject({ 'server.port': port, 'error.type': 'OperationalError' });
    expect(span!.status.message).toContain('127.0.0.1');
  });
});

describe('a checkout', () => {
  it('is a span only if it waits or fails', async () => {
    const pool = makePool({ minSize: 1, maxSize: 1, name: 'narrow' });
    await pool.wait();
    const held = await pool.getconn();
    expect(spans.named('usingpg.checkout')).toEqual([]);
    await inSpan('late', () => rejection(pool.getconn({ timeout: 0.01 })));
    const waiting = inSpan('waits', () => pool.execute('SELECT 1'));
    await expect.poll(() => pool.getStats().requestsWaiting).toBe(1);
    await pool.putconn(held);
    await waiting;
    const [failed, waited] = spans.named('usingpg.checkout');
    expect(spans.named('usingpg.checkout')).toHaveLength(2);
    expect(failed).toMatchObject({
      kind: SpanKind.INTERNAL,
      attributes: { 'db.client.connection.pool.name': 'narrow', 'error.type': 'PoolTimeout' },
    });
    expect(failed!.status.code).toBe(SpanStatusCode.ERROR);
    expect(spans.parentOf(failed!)?.name).toBe('late');
    expect(waited!.attributes).not.toHaveProperty('error.type');
    expect(spans.parentOf(waited!)?.name).toBe('waits');
  });
});

describe('metrics', () => {
  it('have the durations of operations in seconds, in the advised buckets', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('SELECT FROM pg_class');
    await connection.execute('SELECT FROM pg_class WHERE relname = %s', ['secret']);
    await rejection(connection.execute('SELECT FROM pg_class WHERE 1/0 = 1'));
    const name = 'db.client.operation.duration';
    const all = await metrics.histogram(name, { 'db.query.summary': 'SELECT pg_class' });
    expect(all).toHaveLength(2);
    const { host, port, dbname } = connection.info;
    const common = {
      'db.system.name': 'postgresql',
      'db.namespace': dbname,
      'db.query.summary': 'SELECT pg_class',
      'db.operation.name': 'SELECT',
      'db.collection.name': 'pg_class',
      'server.address': host,
      'server.port': port,
    };
    const [good, failed] = all;
    expect(good!.attributes).toEqual(common);
    expect(good!.value).toMatchObject({ count: 2 });
    expect(good!.value.buckets.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);
    expect(good!.value.max).toBeGreaterThan(0);
    expect(good!.value.max).toBeLessThan(30);
    expect(failed!.attributes).toEqual({
      ...common,
      'error.type': '22012',
      'db.response.status_code': '22012',
    });
    expect((await metrics.collect()).get(name)!.descriptor).toMatchObject({ unit: 's' });
  });

  it('have the connections of the open pools', async () => {
    const pool = makePool({ minSize: 1, maxSize: 2, name: 'counted' });
    await pool.wait();
    const named = { 'db.client.connection.pool.name': 'counted' };
    const now = async (): Promise<Record<string, number | undefined>> => {
      const all = await metrics.collect();
      const value = (name: string, state?: string): number | undefined =>
        all
          .get(`db.client.connection.${name}`)
          ?.dataPoints.find(
            ({ attributes }) =>
              attributes['db.client.connection.pool.name'] === 'counted' &&
              attributes['db.client.connection.state'] === state,
          )?.value as number | undefined;
      return {
        idle: value('count', 'idle'),
        used: value('count', 'used'),
        max: value('max'),
        idleMax: value('idle.max'),
        idleMin: value('idle.min'),
        pending: value('pending_requests'),
      };
    };
    const sizes = { max: 2, idleMax: 2, idleMin: 1 };
    expect(await now()).toEqual({ idle: 1, used: 0, pending: 0, ...sizes });
    const [one, two] = [await pool.getconn(), await pool.getconn()];
    const third = pool.getconn();
    expect(await now()).toEqual({ idle: 0, used: 2, pending: 1, ...sizes });
    await rejection(pool.getconn({ timeout: 0.01 }));
    await pool.putconn(one);
    await pool.putconn(two);
    await pool.putconn(await third);
    expect(await now()).toEqual({ idle: 2, used: 0, pending: 0, ...sizes });
    expect(await metrics.points('db.client.connection.timeouts', named)).toMatchObject([{ value: 1 }]);
    for (const [name, count] of [
      ['create_time', 2],
      ['wait_time', 3],
      ['use_time', 3],
    ] as const) {
      const [point] = await metrics.histogram(`db.client.connection.${name}`, named);
      expect(point?.value.count, name).toBe(count);
      expect(point!.value.buckets.boundaries[0]).toBe(0.001);
    }
    await pool.close();
    for (const _ of ['at once', 'and later']) {
      expect(await now()).toEqual({ idle: 0, used: 0, pending: 0, max: 0, idleMax: 0, idleMin: 0 });
    }
  });

  it('know pools that are older than they are, pools without a limit, and pools of one name', async () => {
    undo();
    const pools = [
      new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 3, name: 'twice' }),
      new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 4, name: 'twice' }),
      new AsyncNullConnectionPool(dsn(), { maxSize: 0, name: 'unlimited' }),
    ];
    for (const pool of pools) onTestFinished(() => pool.close());
    undo = instrument({ meterProvider: metrics.provider });
    const points = async (name: string, pool: string): Promise<unknown[]> =>
      (await metrics.points(`db.client.connection.${name}`, { 'db.client.connection.pool.name': pool })).map(
        ({ value }) => value,
      );
    expect(await points('max', 'twice')).toEqual([7]);
    expect(await points('max', 'unlimited')).toEqual([]);
    expect(await points('idle.max', 'unlimited')).toEqual([0]);
  });
});

it('the guide names each metric, and each attribute of a statement', async () => {
  const page = await readFile(new URL('../../../docs/guides/opentelemetry.md', import.meta.url), 'utf8');
  const [, ofSpans, ofMetrics] = page.split(/^## /m);
  const namesIn = (text: string): string[] => [
    ...new Set(text.match(/(?<=`)(?:db|server|error)\.[\w.]+(?=`)/g)),
  ];
  const pool = makePool({ minSize: 1, maxSize: 1 });
  await pool.withConnection(async (connection) => {
    await rejection(pool.getconn({ timeout: 0.01 }));
    await connection.execute('CREATE TEMP TABLE city (id int PRIMARY KEY)');
    await rejection(connection.cursor().executemany('INSERT INTO city VALUES (%s)', [[1], [1]]));
    await connection.rollback();
  });
  const emitted = new Set(ofQueries().flatMap(({ attributes }) => Object.keys(attributes)));
  expect([...emitted].sort()).toEqual(namesIn(ofSpans!).sort());
  const own = ['db.client.connection.pool.name', 'db.client.connection.state'];
  expect([...(await metrics.collect()).keys(), ...own].sort()).toEqual(namesIn(ofMetrics!).sort());
});

describe('instrument()', () => {
  const CHANNELS = ['query', 'checkout', 'connect'].flatMap((name) =>
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => `tracing:usingpg:${name}:${event}`),
  );
  const subscribed = (): string[] =>
    [...CHANNELS, 'usingpg:return'].filter((name) => channel(name).hasSubscribers);

  it('is undone by what it returns, as often as that is called', async () => {
    expect(subscribed()).toHaveLength(7);
    const connection = await connect({ autocommit: true });
    undo();
    undo();
    expect(subscribed()).toEqual([]);
    await connection.execute('SELECT 1');
    expect(ofQueries()).toEqual([]);
    expect(await metrics.points('db.client.connection.max', {})).toEqual([]);
    const again = instrument({ tracerProvider: spans.provider });
    // The first function has done its work: it does not end what is begun later.
    undo();
    await connection.execute('SELECT 2');
    again();
    expect(ofQueries()).toHaveLength(1);
  });

  it('ends the spans that are open when it is undone', async () => {
    const connection = await connect({ autocommit: true });
    const running = rejection(connection.execute('SELECT pg_sleep(60)'));
    undo();
    expect(namesOf(ofQueries())).toEqual(['SELECT']);
    await terminate(connection.info.backendPid);
    await running;
    expect(ofQueries()).toHaveLength(1);
  });

  it('refuses to be called twice', () => {
    expect(() => instrument()).toThrow(errors.ProgrammingError);
    expect(() => instrument()).toThrow(/was called before.*call what it returned first/);
  });

  it('refuses to be called by another copy of the module, such as that for require()', async () => {
    vi.resetModules();
    const copy = await import('../../../src/integrations/opentelemetry/index.js');
    expect(copy.instrument).not.toBe(instrument);
    expect(() => copy.instrument()).toThrow('instrument() was called before');
  });

  it('refuses what is no option, or no provider', () => {
    undo();
    expect(() => instrument({ tracer: 1 } as never)).toThrow(
      'unknown option `tracer` of instrument(): the options are tracerProvider, meterProvider',
    );
    expect(() => instrument({ tracerProvider: {} } as never)).toThrow(
      'expected `tracerProvider` to be an object with the method getTracer(), got an object',
    );
    expect(() => instrument({ meterProvider: null } as never)).toThrow(
      'expected `meterProvider` to be an object with the method getMeter(), got null',
    );
    expect(() => instrument(null as never)).toThrow('expected the options of instrument() to be an object');
    expect(subscribed()).toEqual([]);
  });

  it('uses the global provider of traces, which may be registered later', async () => {
    undo();
    undo = instrument();
    trace.setGlobalTracerProvider(spans.provider);
    onTestFinished(() => {
      trace.disable();
    });
    const connection = await connect({ autocommit: true });
    await connection.execute('SELECT 1');
    expect(namesOf(ofQueries())).toEqual(['SELECT']);
  });
});
