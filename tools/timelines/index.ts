/**
 * Records three runs and draws them as timelines: a failover as a pool sees it, a burst that makes a pool grow, the messages of statements
 * with and without a pipeline. Writes docs/guides/timelines/*.svg: `npm run timelines`. Needs no server: its own are started.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { THEMES } from '../../bench/charts.js';
import { startOwnServer } from '../../test/support/server.js';
import { drawMessages, drawPool } from './drawings.js';
import { recordBurst, recordFailover, recordMessages } from './scenes.js';

type Draw = (theme: (typeof THEMES)['light']) => Promise<string>;

const folder = fileURLToPath(new URL('../../docs/guides/timelines/', import.meta.url));
await mkdir(folder, { recursive: true });

const drawings: Record<string, Draw> = {};
const server = await startOwnServer();
try {
  const burst = await recordBurst(server);
  drawings['burst'] = (theme) => drawPool(burst, theme);
  const packets = await recordMessages(server);
  drawings['pipeline'] = (theme) => drawMessages(packets, theme);
} finally {
  await server.stop();
}
const failover = await recordFailover();
drawings['failover'] = (theme) => drawPool(failover, theme);

for (const [name, drawing] of Object.entries(drawings)) {
  for (const theme of ['light', 'dark'] as const) {
    const path = `${folder}${name}-${theme}.svg`;
    await writeFile(path, await drawing(THEMES[theme]));
    console.log(path);
  }
}
