import type { AsyncConnectionPool } from './connection-pool.js';

type AnyPool = AsyncConnectionPool<unknown>;

/** The open pools. A pool that its program has forgotten without closing it is not kept in memory. */
const open = new Set<WeakRef<AnyPool>>();
const references = new WeakMap<AnyPool, WeakRef<AnyPool>>();
const collected = new FinalizationRegistry<WeakRef<AnyPool>>((reference) => {
  open.delete(reference);
});

/** Adds a pool that has been opened; does nothing if it is there. */
export function addOpenPool(pool: AnyPool): void {
  if (references.has(pool)) return;
  const reference = new WeakRef(pool);
  references.set(pool, reference);
  open.add(reference);
  collected.register(pool, reference, reference);
}

/** Removes a pool that is closed. */
export function removeOpenPool(pool: AnyPool): void {
  const reference = references.get(pool);
  if (reference === undefined) return;
  references.delete(pool);
  open.delete(reference);
  collected.unregister(reference);
}

/**
 * The pools of this process that are open now, in the order in which they were opened: for metrics of `getStats()`, and for a look
 * at a process in trouble.
 *
 * @example
 * for (const pool of openPools()) {
 *   const { poolLent, requestsWaiting } = pool.getStats();
 *   console.log(pool.name, poolLent, requestsWaiting);
 * }
 */
export function openPools(): AsyncConnectionPool<unknown>[] {
  return [...open].map((reference) => reference.deref()).filter((pool) => pool !== undefined);
}
