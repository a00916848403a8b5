/**
 * The differences between a pool that keeps its resources and one that keeps none. Code tests one of these properties, never the
 * kind of pool.
 */
export interface PoolStrategy {
  /** Whether a returned resource is kept if no request waits for it. */
  readonly keepsReturned: boolean;
  /**
   * Who connects. `workers`: the pool, `numWorkers` at a time, up to `minSize` and for waiting requests; one at a time while the
   * server is unreachable. `requests`: each request for itself, immediately; it also accepts a resource returned in the meantime.
   */
  readonly connectedBy: 'workers' | 'requests';
  /**
   * The consequence of a failed attempt. `retry`: another attempt, after a while. `refuse`: the request that has waited longest
   * rejects with the error.
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

/** The strategy of a pool; a subclass overrides it. @internal */
export const STRATEGY: unique symbol = Symbol('usingpg.poolStrategy');
