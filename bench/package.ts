import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as Usingpg from '../src/index.js';

/** The checkout whose build is measured: this one, or that which `--against` names. */
export const PACKAGE = process.env['BENCH_PACKAGE'] ?? fileURLToPath(new URL('..', import.meta.url));

// What is measured is the package as its users get it, which `npm run bench` builds first: run from source, many a function would
// carry what is needed to give it its name.

export const { AsyncConnection, AsyncConnectionPool, Jsonb, dictRow, scalarRow, sql } = (await import(
  pathToFileURL(resolve(PACKAGE, 'dist/index.js')).href
)) as typeof Usingpg;
export type AsyncConnection = Usingpg.AsyncConnection;
export type AsyncConnectionPool = Usingpg.AsyncConnectionPool;
export type AsyncCopy = Usingpg.AsyncCopy;
