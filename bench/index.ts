/**
 * Times usingpg and its peers on one server, in one run, and writes what came of it to docs/benchmarks.md: `npm run bench`. Some
 * of it, which writes nothing: `npm run bench -- fetch stream`; with few rounds: `--quick`. Needs no server: one is started,
 * unless DATABASE_URL names one that asks for no password.
 */
import { execFileSync } from 'node:child_process';
import { startOwnServer, startServer } from '../test/support/server.js';
import { checkout } from './checkout.js';
import { composition } from './composition.js';
import { copy, copyMemory } from './copy.js';
import { dumping } from './dumping.js';
import { fetchRows } from './fetch.js';
import { footprint } from './footprint.js';
import { heap } from './heap.js';
import { inserts } from './inserts.js';
import { latency } from './latency.js';
import { loading } from './loading.js';
import { machineOf } from './machine.js';
import { pooled } from './pooled.js';
import { Python } from './python.js';
import { beQuick } from './race.js';
import { inShort, writePage } from './report.js';
import type { Finding, Workload } from './setting.js';
import { statements } from './statements.js';
import { stream } from './stream.js';
import { values } from './values.js';

const workloads: Readonly<Record<string, Workload>> = {
  fetch: fetchRows,
  statements,
  pooled,
  checkout,
  inserts,
  stream,
  copy,
  values,
  loading,
  dumping,
  composition,
  latency,
  footprint,
  heap,
  copyMemory,
};

const args = process.argv.slice(2);
const quick = args.includes('--quick');
/** Whether this is a process for one workload, which gives its findings to the one that has started it. */
const isPart = args.includes('--part');
const wanted = args.filter((arg) => !arg.startsWith('--'));
const unknown = wanted.filter((name) => !Object.hasOwn(workloads, name));
if (unknown.length > 0) {
  console.error(`no such workload: ${unknown.join(', ')}; there are ${Object.keys(workloads).join(', ')}`);
  process.exit(2);
}
if (globalThis.gc === undefined)
  console.error('without --expose-gc everybody pays for the garbage of others');
if (quick) beQuick();
// pg warns of calls that are exactly what is measured.
process.noDeprecation = true;

/** What a workload finds in a process of its own: code compiled for another one, and its heap, would be timed with it. */
function findApart(name: string, dsn: string): Finding[] {
  const found = execFileSync(
    process.execPath,
    [...process.execArgv, process.argv[1]!, '--part', name, ...(quick ? ['--quick'] : [])],
    {
      env: { ...process.env, DATABASE_URL: dsn },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 26,
    },
  );
  return JSON.parse(found) as Finding[];
}

const own = (process.env['DATABASE_URL'] ?? '') === '';
const server = await (own ? startOwnServer({ settings: { max_connections: 500 } }) : startServer());
try {
  using python = Python.start(server.dsn);
  if (isPart) {
    const found = await workloads[wanted[0]!]!({ dsn: server.dsn, quick, python });
    console.log(JSON.stringify(found));
    process.exit();
  }
  if (python === null) console.error('psycopg and asyncpg are skipped: no Python here has them');
  for (const peer of ['psycopg', 'asyncpg'] as const) {
    if (python !== null && !(peer in python.peers)) console.error(`${peer} is skipped: it is not installed`);
  }
  const findings: Finding[] = [];
  for (const name of Object.keys(workloads)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const start = performance.now();
    const found = findApart(name, server.dsn);
    console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
    findings.push(...found);
  }
  const machine = await machineOf(server.dsn, python);
  console.log(inShort(findings, machine));
  if (wanted.length === 0) {
    await writePage(findings, machine);
    console.log('\ndocs/benchmarks.md has been written');
  }
} finally {
  await server.stop();
}
