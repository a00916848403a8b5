/**
 * Records three runs and draws them as timelines: a failover as a pool sees it, a burst that makes a pool grow, the messages of statements
 * with and without a pipeline. Writes docs/guides/timelines/*.svg: `npm run timelines`. Needs no server: its own are started.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startOwnServer } from '../../test/support/server.js';
import { drawMessages, drawPool } from './drawings.js';
import { recordBurst, recordFailover, recordMessages } from './scenes.js';

const folder = fileURLToPath(new URL('../../docs/guides/timelines/', import.meta.url));
await mkdir(folder, { recursive: true });

const drawings: Record<string, string> = {};
const server = await startOwnServer();
try {
  const burst = await recordBurst(server);
  drawings['burst'] = await drawPool(burst);
  const packets = await recordMessages(server);
  drawings['pipeline'] = await drawMessages(packets);
} finally {
  await server.stop();
}
const failover = await recordFailover();
drawings['failover'] = await drawPool(failover);

for (const [name, svg] of Object.entries(drawings)) {
  const path = `${folder}${name}.svg`;
  await writeFile(path, svg);
  console.log(path);
}
