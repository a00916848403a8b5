import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as Usingpg from '../src/index.js';

/** The checkout whose build is measured: this one, or the one named by `--against`. */
export const PACKAGE = process.env['BENCH_PACKAGE'] ?? fileURLToPath(new URL('..', import.meta.url));

// The package is measured as users get it, so `npm run bench` builds it first. Run from source, many functions would carry code
// that assigns their names.

export const { AsyncConnection, AsyncConnectionPool, Jsonb, dictRow, scalarRow, sql } = (await import(
  pathToFileURL(resolve(PACKAGE, 'dist/index.js')).href
)) as typeof Usingpg;
export type AsyncConnection = Usingpg.AsyncConnection;
export type AsyncConnectionPool = Usingpg.AsyncConnectionPool;
export type AsyncCopy = Usingpg.AsyncCopy;
