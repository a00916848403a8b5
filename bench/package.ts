import type * as Usingpg from '../src/index.js';

// What is measured is the package as its users get it, which `npm run bench` builds first: run from source, many a function would
// carry what is needed to give it its name.

const built = '../dist/index.js';

export const { AsyncConnection, AsyncConnectionPool, Jsonb, dictRow, scalarRow, sql } = (await import(
  built
)) as typeof Usingpg;
export type AsyncConnection = Usingpg.AsyncConnection;
export type AsyncConnectionPool = Usingpg.AsyncConnectionPool;
export type AsyncCopy = Usingpg.AsyncCopy;
