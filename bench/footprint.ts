import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Figures } from './findings.js';
import { PACKAGE } from './package.js';
import { OURS, participants, spread } from './race.js';
import type { Setting } from './setting.js';
import { turn } from './turns.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILT = JSON.stringify(pathToFileURL(resolve(PACKAGE, 'dist/index.js')).href);
const CONNECTIONS = 50;
/** The maximum ratio to postgres.js. */
const SHARE = 1.2;

/** The cost of the library's presence: loading it, installing it, keeping a connection. */
export async function footprint({ dsn, quick }: Setting): Promise<Figures[]> {
  const rounds = quick ? 3 : 15;
  const imports = await processTimes(
    mapped(
      participants({ [OURS]: BUILT, postgres: "'postgres'", pg: "'pg'" }),
      (specifier) => `await import(${specifier})`,
    ),
    rounds,
  );
  const answers = await processTimes(
    mapped(participants(OPENERS), (opener) => `const dsn = ${JSON.stringify(dsn)}; await (${opener})()`),
    rounds,
  );
  const packed = mapped(
    participants({ [OURS]: PACKAGE, postgres: './node_modules/postgres', pg: './node_modules/pg' }),
    packageSize,
  );
  return [
    compared('import', 'ms', imports),
    // Some libraries load modules at the first connection that others load at once.
    figures('import, connection, first answer', 'ms', answers),
    compared(
      'package, packed',
      'kB',
      mapped(packed, ({ size }) => size / 1000),
    ),
    compared(
      'package, unpacked',
      'kB',
      mapped(packed, ({ unpackedSize }) => unpackedSize / 1000),
    ),
    compared('idle connection', 'kB of heap and buffers', idleMemory(dsn)),
  ];
}

function figures(title: string, unit: string, values: Readonly<Record<string, number>>): Figures {
  return {
    kind: 'figures',
    title,
    unit,
    values: Object.entries(values).map(([name, value]) => ({ name, value })),
  };
}

function compared(title: string, unit: string, values: Readonly<Record<string, number>>): Figures {
  const peer = values['postgres'];
  const found = figures(title, unit, values);
  return peer === undefined
    ? found
    : { ...found, goal: { most: peer * SHARE, text: 'no more than postgres.js and 20 %' } };
}

/** The medians of processes that each run one program, in turn. */
async function processTimes(
  programs: Readonly<Record<string, string>>,
  rounds: number,
): Promise<Record<string, number>> {
  const times = mapped(programs, () => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [name, program] of Object.entries(programs)) {
      await turn();
      const timed = `const start = performance.now(); ${program}; console.log(performance.now() - start); process.exit()`;
      times[name]!.push(Number(run(process.execPath, ['--input-type=module', '-e', timed])));
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

/** Expressions that open a connection and execute a statement, for each client; `dsn` is in scope. */
const OPENERS = {
  [OURS]: `async () => {
    const { AsyncConnection } = await import(${BUILT});
    const conn = await AsyncConnection.connect(dsn, { autocommit: true });
    await conn.execute('SELECT 1');
    return conn;
  }`,
  postgres: `async () => {
    const { default: postgres } = await import('postgres');
    const sql = postgres(dsn, { max: 1 });
    await sql\`SELECT 1\`;
    return sql;
  }`,
  pg: `async () => {
    const { default: pg } = await import('pg');
    const client = new pg.Client(dsn);
    await client.connect();
    await client.query('SELECT 1');
    return client;
  }`,
};

/** The memory of each of many idle connections. Each client has a process of its own, in which no other client frees memory. */
function idleMemory(dsn: string): Record<string, number> {
  return mapped(participants(OPENERS), (opener) => {
    const program = `
      const dsn = ${JSON.stringify(dsn)};
      const open = ${opener};
      const settled = async () => {
        for (let i = 0; i < 5; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        const { heapUsed, external } = process.memoryUsage();
        return heapUsed + external;
      };
      // Code that is compiled once is not a connection's.
      const kept = [await open()];
      const before = await settled();
      for (let i = 0; i < ${String(CONNECTIONS)}; i++) kept.push(await open());
      console.log(((await settled()) - before) / ${String(CONNECTIONS)} / 1000);
      process.exit();`;
    return Number(run(process.execPath, ['--expose-gc', '--input-type=module', '-e', program]));
  });
}

function mapped<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
