import type pLimit from 'p-limit';
import type postgres from 'postgres';

// The packages that the library depends on. Each is loaded at its first use, since their imports take longer than this package's own.
// The build has two more forms of this file: one for CommonJS, and one for bundlers, in which the imports are static, so that what they
// make can be one file.

/** Loads postgres.js. */
export async function loadPostgres(): Promise<typeof postgres> {
  return (await import('postgres')).default;
}

/** Loads p-limit. */
export async function loadPLimit(): Promise<typeof pLimit> {
  return (await import('p-limit')).default;
}
