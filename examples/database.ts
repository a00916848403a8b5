import { startServer } from '../test/support/server.js';

export { onProcessEnd } from '../test/support/own-process.js';

/** Runs `example` against the server of DATABASE_URL, else against one started for it and stopped after it. */
export async function withDatabase(example: (dsn: string) => Promise<void>): Promise<void> {
  const server = await startServer();
  try {
    await example(server.dsn);
  } finally {
    await server.stop();
  }
}
