import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { packedPlace } from './packed.js';
import { startServer } from './server.js';

declare module 'vitest' {
  // Extends vitest's interface of this name.
  export interface ProvidedContext {
    /** The connection string of the run's server, as its superuser. */
    dsn: string;
    /** The directory of the server's Unix socket, if the run has started it. */
    socketDirectory: string | null;
  }
}

/** One server for the whole run; every test file connects to it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removePacked = (): Promise<void> => rm(packedPlace(process.pid), { recursive: true, force: true });
  // Another run with the number of this process may have ended without clearing up.
  await removePacked();
  const server = await startServer();
  project.provide('dsn', server.dsn);
  project.provide('socketDirectory', server.socketDirectory);
  return async () => {
    await server.stop();
    await removePacked();
  };
}
