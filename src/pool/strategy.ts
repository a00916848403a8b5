/**
 * The three answers by which a pool that keeps its resources differs from one that keeps none. Code asks for an answer, not for the
 * kind of pool.
 */
export interface PoolStrategy {
  /** Whether a resource that comes back is kept although no request waits for it. */
  readonly keepsReturned: boolean;
  /**
   * Who connects. `workers`: the pool, `numWorkers` at a time, up to `minSize` and for waiting requests, one at a time while the
   * server does not answer. `requests`: each request for itself, at once; it takes what comes back in the meantime.
   */
  readonly connectedBy: 'workers' | 'requests';
  /**
   * What a failure to connect means. `retry`: another attempt, after a while. `refuse`: the answer to the request that has waited
   * longest.
   */
  readonly onConnectFailure: 'retry' | 'refuse';
}

/** The strategy of `AsyncConnectionPool`. */
export const keepingStrategy: PoolStrategy = {
  keepsReturned: true,
  connectedBy: 'workers',
  onConnectFailure: 'retry',
};

/** The strategy of `AsyncNullConnectionPool`. */
export const nullStrategy: PoolStrategy = {
  keepsReturned: false,
  connectedBy: 'requests',
  onConnectFailure: 'refuse',
};

/** The strategy of a pool, by which a subclass has another. @internal */
export const STRATEGY: unique symbol = Symbol('usingpg.poolStrategy');
