/** The statistics of a pool, by psycopg_pool's names in camelCase. Times are in milliseconds. */
export interface PoolStats {
  /** Current `minSize`. */
  poolMin: number;
  /** Current `maxSize`. */
  poolMax: number;
  /** Connections in the pool, checked out, and being made. */
  poolSize: number;
  /** Connections idle in the pool. */
  poolAvailable: number;
  /** Connections checked out. */
  poolLent: number;
  /** Requests that are waiting for a connection now, or for the check of one. */
  requestsWaiting: number;
  /** The total time for which connections were checked out. */
  usageMs: number;
  /** Requests for a connection. */
  requestsNum: number;
  /** Requests that had to wait. */
  requestsQueued: number;
  /** The total time for which those requests waited. */
  requestsWaitMs: number;
  /** Requests that were refused or timed out. */
  requestsErrors: number;
  /** Connections that were unusable when they were returned. */
  returnsBad: number;
  /** Attempts to connect. */
  connectionsNum: number;
  /** The total duration of the successful attempts. */
  connectionsMs: number;
  /** Attempts that failed. */
  connectionsErrors: number;
  /** Idle connections found lost. */
  connectionsLost: number;
  /** Connections returned with uncommitted writes. */
  returnsUncommitted: number;
}

/** The counters, which `popStats()` resets. */
export type Counters = Omit<
  PoolStats,
  'poolMin' | 'poolMax' | 'poolSize' | 'poolAvailable' | 'poolLent' | 'requestsWaiting'
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

/** The counters in whole milliseconds, as users see them. */
export function roundedCounters(counters: Counters): Counters {
  return {
    ...counters,
    usageMs: Math.round(counters.usageMs),
    requestsWaitMs: Math.round(counters.requestsWaitMs),
    connectionsMs: Math.round(counters.connectionsMs),
  };
}
