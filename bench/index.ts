/**
 * Times usingpg against postgres.js and pg on one server, in one run: `npm run bench`, or some of it, `npm run bench -- fetch
 * statements`. Needs no server: one is started, unless DATABASE_URL names one.
 */
import { cpus } from 'node:os';
import { startServer } from '../test/support/server.js';
import { checkout } from './checkout.js';
import { composition } from './composition.js';
import { copy, copyMemory } from './copy.js';
import { executemany } from './executemany.js';
import { fetchRows } from './fetch.js';
import { heap } from './heap.js';
import { pipeline } from './pipeline.js';
import { stream, streamMemory } from './stream.js';
import { table, type Line } from './report.js';
import { statementsAtOnce } from './statements.js';
import { transactions } from './transactions.js';

const workloads: Readonly<Record<string, (dsn: string) => Promise<Line[] | string>>> = {
  fetch: fetchRows,
  checkout,
  statements: statementsAtOnce,
  transactions,
  executemany,
  composition,
  pipeline,
  stream,
  streamMemory,
  copy,
  copyMemory,
  heap,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(workloads, name));
if (unknown.length > 0) {
  console.error(`no such workload: ${unknown.join(', ')}; there are ${Object.keys(workloads).join(', ')}`);
  process.exit(2);
}

const server = await startServer();
try {
  const lines: Line[] = [];
  const sentences: string[] = [];
  for (const [name, run] of Object.entries(workloads)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.error(`${name} …`);
    const outcome = await run(server.dsn);
    if (typeof outcome === 'string') sentences.push(outcome);
    else lines.push(...outcome);
  }
  if (lines.length > 0) console.log(`\n${table(lines)}`);
  for (const sentence of sentences) console.log(`\n${sentence}`);
  console.log(`\nNode ${process.version}, ${String(cpus().length)} × ${cpus()[0]?.model ?? 'unknown CPU'}`);
} finally {
  await server.stop();
}
