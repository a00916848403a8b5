import { startServer } from '../test/support/server.js';

export { onProcessEnd, ownDirectory } from '../test/support/own-process.js';

/** Runs `example` with the server of DATABASE_URL, or else with a server that is started and stopped for it. */
export async function withDatabase(example: (dsn: string) => Promise<void>): Promise<void> {
  const server = await startServer();
  try {
    await example(server.dsn);
  } finally {
    await server.stop();
  }
}
