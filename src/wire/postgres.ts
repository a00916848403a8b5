import type postgres from 'postgres';

/**
 * Loads postgres.js, whose own imports take longer than those of this package. The build has two forms of this file beside it: one for
 * CommonJS, and one for bundlers, in which the import is static, so that what they make can be one file.
 */
export async function loadPostgres(): Promise<typeof postgres> {
  return (await import('postgres')).default;
}
