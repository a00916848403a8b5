/**
 * OpenTelemetry spans for connects, checkouts and statements, made from the library's tracing channels and printed as a tree.
 * Each span is a child of its caller's span, however many requests are served at once. In your project: from 'usingpg'.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, tracingChannel } from 'node:diagnostics_channel';
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type ContextManager,
  type Span,
} from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import {
  AsyncConnectionPool,
  type CheckoutMessage,
  type ConnectMessage,
  type QueryMessage,
  type TracedMessage,
} from '../src/index.js';
import { withDatabase } from './database.js';

const REQUESTS = 3;

/** A context manager whose store can be bound to channels. */
class StoreContextManager implements ContextManager {
  readonly store = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.store.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.store.run(active, () => fn.apply(thisArg, args));
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== 'function') return target;
    return ((...args: unknown[]) => this.store.run(active, () => target(...args) as unknown)) as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.store.disable();
    return this;
  }
}

const manager = new StoreContextManager();
const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
context.setGlobalContextManager(manager);
trace.setGlobalTracerProvider(provider);
const tracer = trace.getTracer('usingpg');

/**
 * Makes a span for each operation traced on a channel: at its start with the attributes known then, and at its end with the rest.
 */
function spansOf<M extends TracedMessage>(
  channelName: string,
  atStart: (message: M) => { name: string; attributes: Attributes },
  atEnd: (message: M) => Attributes,
): void {
  const spans = new WeakMap<M, Span>();
  const { start } = tracingChannel<Context, M>(channelName);
  // Everything the library does from here on belongs to this span.
  start.bindStore(manager.store, (message) => {
    const { name, attributes } = atStart(message);
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes });
    spans.set(message, span);
    return trace.setSpan(context.active(), span);
  });
  subscribe(`tracing:${channelName}:asyncEnd`, (published) => {
    const message = published as M;
    const span = spans.get(message);
    if (message.error !== undefined) {
      const { name, message: text } = message.error as Error;
      span?.setStatus({ code: SpanStatusCode.ERROR, message: text });
      span?.setAttribute('error.type', name);
      if (message.sqlstate !== null) span?.setAttribute('db.response.status_code', message.sqlstate);
    }
    span?.setAttributes(atEnd(message)).end();
  });
}

function server({ host, port, dbname }: ConnectMessage | QueryMessage): Attributes {
  return {
    'db.system.name': 'postgresql',
    'db.namespace': dbname,
    'server.address': host,
    'server.port': port,
  };
}

spansOf<ConnectMessage>(
  'usingpg:connect',
  (message) => ({ name: 'connect', attributes: server(message) }),
  server,
);
spansOf<CheckoutMessage>(
  'usingpg:checkout',
  ({ pool }) => ({ name: 'checkout', attributes: { 'db.client.connection.pool.name': pool } }),
  () => ({}),
);
spansOf<QueryMessage>(
  'usingpg:query',
  (message) => ({
    name: message.operation ?? message.kind,
    attributes: {
      ...server(message),
      'db.query.text': message.query,
      ...(message.batchSize > 1 ? { 'db.operation.batch.size': message.batchSize } : {}),
    },
  }),
  ({ rowcount }) => (rowcount === null ? {} : { 'db.response.returned_rows': rowcount }),
);

await withDatabase(async (dsn) => {
  // The pool's own work, such as connecting, belongs to the span in which the pool is made, whichever request has caused it.
  await tracer.startActiveSpan('server', async (span) => {
    await using pool = new AsyncConnectionPool(dsn, { minSize: 0, maxSize: 2, name: 'web' });
    const requests = Array.from({ length: REQUESTS }, (_, number) => serve(pool, number + 1));
    await Promise.all(requests);
    span.end();
  });
});

function serve(pool: AsyncConnectionPool, number: number): Promise<void> {
  return tracer.startActiveSpan(
    `request ${String(number)}`,
    { kind: SpanKind.SERVER, root: true },
    async (span) => {
      await pool.withConnection(async (connection) => {
        const cursor = connection.cursor();
        await cursor.execute('SELECT n FROM generate_series(1, %s) n', [number]);
        await cursor.executemany('SELECT set_config(%s, %s, true)', [
          ['app.request', String(number)],
          ['app.user', 'me'],
        ]);
        await connection.withTransaction(() => connection.execute('SELECT 1 / 0')).catch(() => undefined);
      });
      span.end();
    },
  );
}

const spans = exporter.getFinishedSpans();
printChildren(undefined, '');
const strangers = spans.filter((span) => {
  const request = rootOf(span);
  // The number of rows identifies the statement's request.
  const isTelling = String(span.attributes['db.query.text']).includes('generate_series');
  const owner = `request ${String(span.attributes['db.response.returned_rows'])}`;
  const isOfPool = span.name === 'connect' || span.name === 'server';
  return request.name.startsWith('request') === isOfPool || (isTelling && request.name !== owner);
});
console.log(`\n${String(spans.length)} spans, in another's tree or in none: ${String(strangers.length)}`);

function rootOf(span: ReadableSpan): ReadableSpan {
  const parent = spans.find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId);
  return parent === undefined ? span : rootOf(parent);
}

function printChildren(parent: string | undefined, indent: string): void {
  const children = spans
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent)
    .sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1]);
  for (const span of children) {
    const { name, attributes, status, duration } = span;
    const rows = attributes['db.response.returned_rows'];
    const shown = [
      name,
      attributes['db.query.text'] ?? '',
      rows === undefined ? '' : `${String(rows)} rows`,
      `${(duration[0] * 1000 + duration[1] / 1e6).toFixed(1)} ms`,
      status.code === SpanStatusCode.ERROR ? `ERROR ${status.message ?? ''}` : '',
    ];
    console.log(`${indent}${shown.filter((part) => part !== '').join('  ')}`);
    printChildren(span.spanContext().spanId, `${indent}  `);
  }
}
