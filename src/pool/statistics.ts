/** What a pool has done, by psycopg_pool's names in camelCase. Times are in milliseconds. */
export interface PoolStats {
  /** Current `minSize`. */
  poolMin: number;
  /** Current `maxSize`. */
  poolMax: number;
  /** Connections in the pool, lent out, and being made. */
  poolSize: number;
  /** Connections idle in the pool. */
  poolAvailable: number;
  /** Requests that wait for a connection now. */
  requestsWaiting: number;
  /** For how long connections were lent out. */
  usageMs: number;
  /** Requests for a connection. */
  requestsNum: number;
  /** Requests that had to wait. */
  requestsQueued: number;
  /** For how long those waited. */
  requestsWaitMs: number;
  /** Requests that were refused, or timed out. */
  requestsErrors: number;
  /** Connections that came back unusable. */
  returnsBad: number;
  /** Attempts to connect. */
  connectionsNum: number;
  /** How long the successful ones took. */
  connectionsMs: number;
  /** How many of them failed. */
  connectionsErrors: number;
  /** Idle connections found lost. */
  connectionsLost: number;
  /** Connections that came back with uncommitted writes. */
  returnsUncommitted: number;
}

/** The counters among the statistics, which `popStats()` resets. */
export type Counters = Omit<
  PoolStats,
  'poolMin' | 'poolMax' | 'poolSize' | 'poolAvailable' | 'requestsWaiting'
>;

export function zeroCounters(): Counters {
  return {
    usageMs: 0,
    requestsNum: 0,
    requestsQueued: 0,
    requestsWaitMs: 0,
    requestsErrors: 0,
    returnsBad: 0,
    connectionsNum: 0,
    connectionsMs: 0,
    connectionsErrors: 0,
    connectionsLost: 0,
    returnsUncommitted: 0,
  };
}

/** As they are shown, in whole milliseconds. */
export function roundedCounters(counters: Counters): Counters {
  return {
    ...counters,
    usageMs: Math.round(counters.usageMs),
    requestsWaitMs: Math.round(counters.requestsWaitMs),
    connectionsMs: Math.round(counters.connectionsMs),
  };
}
