/**
 * OpenTelemetry's spans and metrics of statements and pools. Each span is a child of its caller's span, however many requests are
 * served at once. In your project: from 'usingpg' and 'usingpg/opentelemetry'; its SDK for Node brings the context manager.
 */
import { context, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { AsyncConnectionPool } from '../src/index.js';
import { instrument } from '../src/integrations/opentelemetry/index.js';
import { AsyncContextManager, RecordedMetrics, RecordedSpans } from '../test/support/opentelemetry.js';
import { withDatabase } from './database.js';

const REQUESTS = 3;

// A program registers its providers with OpenTelemetry's SDK, and then calls instrument() without options.
context.setGlobalContextManager(new AsyncContextManager());
const spans = new RecordedSpans();
const metrics = new RecordedMetrics();
const stop = instrument({ tracerProvider: spans.provider, meterProvider: metrics.provider });

const tracer = spans.provider.getTracer('example');

await withDatabase(async (dsn) => {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 0, maxSize: 2, name: 'web' });
  await Promise.all(Array.from({ length: REQUESTS }, (_, number) => serve(pool, number + 1)));
  console.log('connections, by state and pool:');
  for (const { attributes, value } of await metrics.points('db.client.connection.count', {})) {
    const { 'db.client.connection.pool.name': name, 'db.client.connection.state': state } = attributes;
    console.log(`  ${String(name)} ${String(state)}: ${String(value)}`);
  }
});
stop();

function serve(pool: AsyncConnectionPool, number: number): Promise<void> {
  return tracer.startActiveSpan(`request ${String(number)}`, { kind: SpanKind.SERVER }, async (span) => {
    await pool.withConnection(async (connection) => {
      const cursor = connection.cursor();
      await cursor.execute('SELECT n FROM generate_series(1, %s) n', [number]);
      await cursor.executemany(`SELECT set_config('request.' || %s, %s, true)`, [
        ['number', String(number)],
        ['user', 'me'],
      ]);
      await connection.withTransaction(() => connection.execute('SELECT 1 / 0')).catch(() => undefined);
    });
    span.end();
  });
}

printChildren(undefined, '');

function printChildren(parent: string | undefined, indent: string): void {
  const children = spans.all
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent)
    .sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1]);
  for (const span of children) {
    console.log(`${indent}${describe(span)}`);
    printChildren(span.spanContext().spanId, `${indent}  `);
  }
}

function describe({ name, attributes, status, duration }: ReadableSpan): string {
  const shown = [
    name,
    `${(duration[0] * 1000 + duration[1] / 1e6).toFixed(1)} ms`,
    attributes['db.query.text'] ?? '',
    status.code === SpanStatusCode.ERROR ? `ERROR ${String(attributes['error.type'])}` : '',
  ];
  return shown.filter((part) => part !== '').join('  ');
}
