import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection } from '../src/index.js';
import type { Figures } from './findings.js';
import { OURS, spread } from './race.js';
import type { Setting } from './setting.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CONNECTIONS = 50;
/** How much more than postgres.js it may be. */
const SHARE = 1.2;

/** What it costs to have the library at all: to load it, to install it, to keep a connection. */
export async function footprint({ dsn, quick }: Setting): Promise<Figures[]> {
  const built = `${ROOT}dist/index.js`;
  run('npm', ['run', 'build']);
  const imports = importTimes({ [OURS]: built, postgres: 'postgres', pg: 'pg' }, quick ? 3 : 15);
  const packed = {
    [OURS]: packageSize('.'),
    postgres: packageSize('./node_modules/postgres'),
    pg: packageSize('./node_modules/pg'),
  };
  return [
    figures('import', 'ms', imports),
    figures(
      'package, packed',
      'kB',
      mapped(packed, ({ size }) => size / 1000),
    ),
    figures(
      'package, unpacked',
      'kB',
      mapped(packed, ({ unpackedSize }) => unpackedSize / 1000),
    ),
    figures('idle connection', 'kB of heap and buffers', await idleMemory(dsn)),
  ];
}

function figures(title: string, unit: string, values: Readonly<Record<string, number>>): Figures {
  return {
    kind: 'figures',
    title,
    unit,
    values: Object.entries(values).map(([name, value]) => ({ name, value })),
    goal: { most: values['postgres']! * SHARE, text: 'no more than postgres.js and 20 %' },
  };
}

/** The medians of processes that do nothing but import it, in turn. */
function importTimes(modules: Readonly<Record<string, string>>, rounds: number): Record<string, number> {
  const times = mapped(modules, () => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [name, specifier] of Object.entries(modules)) {
      const program = `const start = performance.now(); await import(${JSON.stringify(specifier)}); console.log(performance.now() - start)`;
      times[name]!.push(Number(run(process.execPath, ['--input-type=module', '-e', program])));
    }
  }
  return mapped(times, (own) => spread(own).median);
}

interface Packed {
  readonly size: number;
  readonly unpackedSize: number;
}

function packageSize(directory: string): Packed {
  const [packed] = JSON.parse(run('npm', ['pack', directory, '--dry-run', '--json', '--ignore-scripts'])) as [
    Packed,
  ];
  return packed;
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** What stays in memory for each of many connections that have executed a statement and are idle. */
async function idleMemory(dsn: string): Promise<Record<string, number>> {
  const openers: Record<string, () => Promise<() => Promise<unknown>>> = {
    [OURS]: async () => {
      const conn = await AsyncConnection.connect(dsn, { autocommit: true });
      await conn.execute('SELECT 1');
      return () => conn.close();
    },
    postgres: async () => {
      const sql = postgres(dsn, { max: 1 });
      await sql`SELECT 1`;
      return () => sql.end({ timeout: 5 });
    },
    pg: async () => {
      const client = new pg.Client(dsn);
      await client.connect();
      await client.query('SELECT 1');
      return () => client.end();
    },
  };
  const memory: Record<string, number> = {};
  for (const [name, open] of Object.entries(openers)) {
    // Code that is compiled once is not a connection's.
    await (
      await open()
    )();
    const before = await settledMemory();
    const closers: (() => Promise<unknown>)[] = [];
    for (let i = 0; i < CONNECTIONS; i++) closers.push(await open());
    memory[name] = ((await settledMemory()) - before) / CONNECTIONS / 1000;
    for (const close of closers) await close();
  }
  return memory;
}

async function settledMemory(): Promise<number> {
  // What others have closed lets go of its memory some turns later.
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function mapped<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
