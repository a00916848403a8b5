import type pLimit from 'p-limit';
import type postgres from 'postgres';

// The packages that the library depends on. Each is loaded at its first use, since their imports take longer than this package's own.
// The build has two more forms of this file: one for CommonJS, and one for bundlers, in which the imports are static, so that what they
// make can be one file.

/** Loads postgres.js. */
export async function loadPostgres(): Promise<typeof postgres> {
  return (await import('postgres')).default;
}

let loadedPLimit: typeof pLimit | undefined;

/** Loads p-limit, which every pool needs. */
export async function loadPLimit(): Promise<typeof pLimit> {
  // A further import() would wait for the hooks of a loader, for example those of an instrumentation.
  return (loadedPLimit ??= (await import('p-limit')).default);
}
