import type * as Connect from './connect.js';

let loaded: typeof Connect | undefined;

/**
 * Loads what only an open connection needs: sessions and the protocol, a fifth of the code. A process that imports the package may
 * never connect. The build has another form of this file, for bundlers, in which the import is static, so that what they make can be
 * one file.
 */
export async function loadConnect(): Promise<typeof Connect> {
  // A further import() would wait for the hooks of a loader, for example those of an instrumentation.
  return (loaded ??= await import('./connect.js'));
}
