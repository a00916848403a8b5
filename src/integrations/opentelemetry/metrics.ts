import type { Attributes, BatchObservableResult, Histogram, Meter } from '@opentelemetry/api';
import {
  AsyncNullConnectionPool,
  errors,
  openPools,
  type AsyncConnectionPool,
  type CheckoutMessage,
  type ConnectMessage,
  type QueryMessage,
  type ReturnMessage,
} from '../../index.js';
import { errorAttributes, queryAttributes } from './attributes.js';
import type { Subscriptions } from './subscriptions.js';

/** The bounds of the buckets of durations, in seconds, which the conventions advise. */
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** Records the metrics of queries and of pools. */
export function recordMetrics(meter: Meter, subscriptions: Subscriptions): void {
  recordDurations(meter, subscriptions);
  observePools(meter, subscriptions);
}

function durations(meter: Meter, name: string, description: string): Histogram {
  return meter.createHistogram(name, {
    description,
    unit: 's',
    advice: { explicitBucketBoundaries: BUCKETS },
  });
}

function recordDurations(meter: Meter, subscriptions: Subscriptions): void {
  const operations = durations(
    meter,
    'db.client.operation.duration',
    'Duration of database client operations.',
  );
  subscriptions.on<QueryMessage>('tracing:usingpg:query:asyncEnd', (message) => {
    operations.record(message.seconds!, { ...queryAttributes(message).common, ...errorAttributes(message) });
  });

  const creations = durations(
    meter,
    'db.client.connection.create_time',
    'The time it took to create a new connection.',
  );
  subscriptions.on<ConnectMessage>('tracing:usingpg:connect:asyncEnd', ({ pool, error, seconds }) => {
    if (pool !== null && error === undefined) creations.record(seconds!, ofPool(pool));
  });

  const waits = durations(
    meter,
    'db.client.connection.wait_time',
    'The time it took to obtain an open connection from the pool.',
  );
  const timeouts = meter.createCounter('db.client.connection.timeouts', {
    description:
      'The number of connection timeouts that have occurred trying to obtain a connection from the pool.',
    unit: '{timeout}',
  });
  subscriptions.on<CheckoutMessage>('tracing:usingpg:checkout:asyncEnd', ({ pool, error, seconds }) => {
    if (error === undefined) waits.record(seconds!, ofPool(pool));
    else if (error instanceof errors.PoolTimeout) timeouts.add(1, ofPool(pool));
  });

  const uses = durations(
    meter,
    'db.client.connection.use_time',
    'The time between borrowing a connection and returning it to the pool.',
  );
  subscriptions.on<ReturnMessage>('usingpg:return', ({ pool, seconds }) => {
    uses.record(seconds, ofPool(pool));
  });
}

/** A metric that is read from a pool; null for a pool that has none. */
interface PoolGauge {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly state?: string;
  readonly read: (pool: AsyncConnectionPool<unknown>) => number | null;
}

const COUNT = {
  name: 'db.client.connection.count',
  description: 'The number of connections that are currently in state described by the `state` attribute.',
  unit: '{connection}',
};

const GAUGES: readonly PoolGauge[] = [
  { ...COUNT, state: 'idle', read: (pool) => pool.getStats().poolAvailable },
  { ...COUNT, state: 'used', read: (pool) => pool.getStats().poolLent },
  {
    name: 'db.client.connection.max',
    description: 'The maximum number of open connections allowed.',
    unit: '{connection}',
    read: ({ maxSize }) => (maxSize === 0 ? null : maxSize),
  },
  {
    name: 'db.client.connection.idle.max',
    description: 'The maximum number of idle open connections allowed.',
    unit: '{connection}',
    read: (pool) => (pool instanceof AsyncNullConnectionPool ? 0 : pool.maxSize),
  },
  {
    name: 'db.client.connection.idle.min',
    description: 'The minimum number of idle open connections allowed.',
    unit: '{connection}',
    read: ({ minSize }) => minSize,
  },
  {
    name: 'db.client.connection.pending_requests',
    description: 'The number of current pending requests for an open connection.',
    unit: '{request}',
    read: (pool) => pool.getStats().requestsWaiting,
  },
];

/** Reads the open pools at each collection, so that it does not matter when they were made. */
function observePools(meter: Meter, subscriptions: Subscriptions): void {
  const instruments = new Map(
    GAUGES.map(({ name, description, unit }) => [
      name,
      meter.createObservableUpDownCounter(name, { description, unit }),
    ]),
  );
  const last = new Map<PoolGauge, ReadonlyMap<string, number>>();
  const observe = (result: BatchObservableResult): void => {
    const pools = openPools();
    for (const gauge of GAUGES) {
      const instrument = instruments.get(gauge.name)!;
      const state = gauge.state === undefined ? {} : { 'db.client.connection.state': gauge.state };
      const values = valuesByPool(pools, gauge.read);
      for (const [pool, value] of values) result.observe(instrument, value, { ...ofPool(pool), ...state });
      // The SDK repeats the last value of what is not observed: a closed pool ends with 0.
      for (const pool of last.get(gauge)?.keys() ?? []) {
        if (!values.has(pool)) result.observe(instrument, 0, { ...ofPool(pool), ...state });
      }
      last.set(gauge, values);
    }
  };
  const all = [...instruments.values()];
  meter.addBatchObservableCallback(observe, all);
  subscriptions.add(() => {
    meter.removeBatchObservableCallback(observe, all);
  });
}

/** The values of the pools by their names, which need not be unique. */
function valuesByPool(
  pools: readonly AsyncConnectionPool<unknown>[],
  read: PoolGauge['read'],
): Map<string, number> {
  const values = new Map<string, number>();
  for (const pool of pools) {
    const value = read(pool);
    if (value !== null) values.set(pool.name, (values.get(pool.name) ?? 0) + value);
  }
  return values;
}

function ofPool(name: string): Attributes {
  return { 'db.client.connection.pool.name': name };
}
