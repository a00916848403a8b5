/**
 * Times usingpg and its peers on one server, in one run, and writes what came of it to docs/why/benchmarks.md: `npm run bench`. Some
 * of it, which writes nothing: `npm run bench -- fetch stream`; with few rounds: `--quick`; beside the build of another checkout,
 * which writes nothing either: `--against DIRECTORY`. Needs no server: one is started, unless DATABASE_URL names one that asks for
 * no password.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { startOwnServer, startServer } from '../test/support/server.js';
import { alternate, ensureBuilt, type Pair } from './against.js';
import { builders } from './builders.js';
import { checkout } from './checkout.js';
import { cold } from './cold.js';
import { compared } from './comparison.js';
import { composition } from './composition.js';
import { connect } from './connect.js';
import { copy, copyMemory } from './copy.js';
import { dumping } from './dumping.js';
import { facade } from './facade.js';
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
import { transaction } from './transaction.js';
import { alternates, turn } from './turns.js';
import { values } from './values.js';

const workloads: Readonly<Record<string, Workload>> = {
  fetch: fetchRows,
  statements,
  connect,
  transaction,
  pooled,
  checkout,
  inserts,
  builders,
  stream,
  copy,
  values,
  loading,
  cold,
  dumping,
  composition,
  latency,
  footprint,
  heap,
  copyMemory,
  facade,
};

const { values: options, positionals: wanted } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    // Whether this process runs one workload and prints its findings for its parent process.
    part: { type: 'boolean', default: false },
    // Whether that process takes turns with another one: see turns.ts.
    alternate: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const { quick } = options;
const unknown = wanted.filter((name) => !Object.hasOwn(workloads, name));
if (unknown.length > 0) {
  console.error(`no such workload: ${unknown.join(', ')}; there are ${Object.keys(workloads).join(', ')}`);
  process.exit(2);
}
if (globalThis.gc === undefined)
  console.error('without --expose-gc, each contender pays for the garbage of others');
if (quick) beQuick();
// pg warns of calls that are measured on purpose.
process.noDeprecation = true;

/** Runs a workload in a process of its own: code compiled for another workload, and its heap, would affect the times. */
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

/** The number of pairs of new processes for each workload, one with each build. */
const PAIRS = quick ? 3 : 5;

/** The findings of a workload with this build and with that of `directory`. Null if a build cannot run it, which is reported. */
async function findWithBoth(name: string, dsn: string, directory: string): Promise<Pair[] | null> {
  const pairs: Pair[] = [];
  try {
    for (let i = 0; i < PAIRS; i++) {
      const first = i % 2 === 0 ? 'old' : 'current';
      pairs.push(await alternate(name, { directory, dsn, quick, first }));
    }
    return pairs;
  } catch (error) {
    console.error(`${name} could not be compared: ${String(error)}`);
    return null;
  }
}

/** Calls `find` for each selected workload, and prints its duration. */
async function forEachWanted<T>(find: (name: string) => T | Promise<T>): Promise<T[]> {
  const found: T[] = [];
  for (const name of Object.keys(workloads)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const start = performance.now();
    found.push(await find(name));
    console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
  return found;
}

async function compareWith(directory: string, dsn: string): Promise<void> {
  ensureBuilt(directory);
  const pairs = await forEachWanted((name) => findWithBoth(name, dsn, directory));
  const machine = await machineOf(dsn, null);
  if (quick) console.error('these are too few rounds to rely on');
  console.log([compared(pairs.filter((found) => found !== null)), ...machine.lines].join('\n\n'));
}

async function measure(dsn: string): Promise<void> {
  using python = Python.start(dsn);
  if (python === null) console.error('psycopg and asyncpg are skipped: no Python here has them');
  for (const peer of ['psycopg', 'asyncpg'] as const) {
    if (python !== null && !(peer in python.peers)) console.error(`${peer} is skipped: it is not installed`);
  }
  const findings = (await forEachWanted((name) => findApart(name, dsn))).flat();
  const machine = await machineOf(dsn, python);
  console.log(inShort(findings, machine));
  if (wanted.length === 0) {
    await writePage(findings, machine);
    console.log('\ndocs/why/benchmarks.md has been written');
  }
}

/** Runs one workload, and prints its findings for the parent process. */
async function bePart(name: string, dsn: string): Promise<never> {
  using python = alternates ? null : Python.start(dsn);
  await turn();
  console.log(JSON.stringify(await workloads[name]!({ dsn, quick, python })));
  process.exit();
}

const own = (process.env['DATABASE_URL'] ?? '') === '';
const server = await (own ? startOwnServer({ settings: { max_connections: 500 } }) : startServer());
try {
  if (options.part) await bePart(wanted[0]!, server.dsn);
  else if (options.against === undefined) await measure(server.dsn);
  else await compareWith(options.against, server.dsn);
} finally {
  await server.stop();
}
