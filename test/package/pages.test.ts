import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import * as usingpg from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A piece of TypeScript in the documentation, and its place. */
interface Sample {
  readonly place: string;
  readonly code: string;
}

const PAGES = ['README.md', 'CONTRIBUTING.md', ...files('docs', '.md')];
const pages = PAGES.flatMap(samplesOfPage);
const docstrings = files('src', '.ts').flatMap(samplesOfDocstrings);

describe('the samples', () => {
  it('compile with the package’s exports alone', { timeout: 300_000 }, () => {
    expect(pages.length).toBeGreaterThan(8);
    expect(docstrings.length).toBeGreaterThan(40);
    expect(mistakesIn([...pages, ...docstrings])).toEqual([]);
  });

  const databases = { source: 'samples_source', target: 'samples_target' };

  beforeAll(async () => {
    for (const name of Object.values(databases)) {
      await admin(`DROP DATABASE IF EXISTS ${name}`);
      await admin(`CREATE DATABASE ${name}`);
    }
  });

  afterAll(async () => {
    for (const name of Object.values(databases)) await admin(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  /** Runs a sample unchanged, with the tables and variables that it uses. Resolves with its output. */
  async function run({
    code,
  }: Sample): Promise<{ printed: unknown[]; client: pg.Client; conn: usingpg.AsyncConnection }> {
    const url = new URL(inject('dsn'));
    url.pathname = databases.source;
    const client = new pg.Client(url.href);
    await client.connect();
    onTestFinished(() => client.end());
    const conn = await connect({}, { dbname: databases.source });
    const target = await connect({}, { dbname: databases.target });
    for (const each of [conn, target]) {
      await each.execute(TABLES);
      await each.commit();
    }
    await conn.execute("INSERT INTO city SELECT n, 'city ' || n, 'FR', n FROM generate_series(1, 3) n");
    await conn.commit();
    const pool = new usingpg.AsyncConnectionPool(dsn({ dbname: databases.source }), {
      minSize: 1,
      maxSize: 4,
    });
    onTestFinished(() => pool.close());
    const printed: unknown[] = [];
    /** Ends a loop that would run as long as its program. */
    const enough = new Error('enough');
    const print = (...values: unknown[]): void => {
      printed.push(...values);
      if (values.includes('the last job')) throw enough;
    };
    const world = {
      client,
      conn,
      pool,
      cur: conn.cursor(),
      source: conn,
      target,
      id: 1,
      ids: [1, 2, 3],
      table: 'city',
      cities: [{ id: 11, name: 'Bergen' }],
      rows: [
        [21, 'Oslo'],
        [22, 'Tromsø'],
      ],
      lookForJobs: () => Promise.resolve(),
      runJob: async (payload: string) => {
        await Promise.resolve();
        print(payload);
      },
    };
    const notifying = /LISTEN|Listener/.test(code)
      ? setInterval(() => void client.query("NOTIFY jobs, 'the last job'"), 50)
      : undefined;
    try {
      await evaluate(code.replaceAll("'postgresql://localhost/app'", 'dsn'), {
        ...world,
        console: { log: print },
        dsn: dsn({ dbname: databases.source }),
      });
    } catch (error) {
      if (error !== enough) throw error;
    } finally {
      clearInterval(notifying);
    }
    return { printed, client, conn };
  }

  // Each part introduced by a comment is a sample of its own.
  const parts = pages
    .filter(({ place, code }) => place.startsWith('README.md') && !ELSEWHERE.test(code))
    .flatMap(({ place, code }) => code.split(/\n\n(?=\/\/ )/).map((part) => ({ place, code: part })));
  const found = (text: string): Sample => parts.find(({ code }) => code.includes(text))!;

  it.each(parts)('of $place runs: $code', async (sample) => {
    await run(sample);
  });

  it('of the failure loses rows without a failing call', async () => {
    const { client } = await run(found('client.query'));
    expect((await client.query('SELECT * FROM visit')).rows).toEqual([]);
  });

  it('of the cure returns each task its own row', async () => {
    const { printed } = await run(found('ids.map'));
    expect(printed.sort()).toEqual([['city 1'], ['city 2'], ['city 3']]);
  });

  it('of a composed query is sent as in its comment', async () => {
    const sample = found('sql.identifier');
    const { client, conn } = await run(sample);
    const { rows } = await client.query<{ query: string }>(
      'SELECT query FROM pg_stat_activity WHERE pid = $1',
      [conn.info.backendPid],
    );
    expect(sample.code).toContain(`\n// ${rows[0]!.query}`);
  });
});

describe('the README', () => {
  const page = readFileSync(`${root}README.md`, 'utf8');
  const section = (title: string): string =>
    page.split(/^## /m).find((text) => text.startsWith(`${title}\n`))!;
  const rowsOf = (title: string): string[][] =>
    [...section(title).matchAll(/^\| (.*) \|$/gm)].map(([, row]) =>
      row!.split('|').map((cell) => cell.trim()),
    );

  it('has the error of a shared cursor', async () => {
    const cur = (await connect()).cursor();
    const first = cur.execute('SELECT 1');
    const error = await cur.execute('SELECT 2').catch((raised: unknown) => raised);
    await first;
    const [told] = /^ConcurrentCursorUse: [^`]*/m.exec(page)!;
    expect(String(error)).toBe(told.trim().replaceAll('\n', ' '));
  });

  it('lists the dependencies', () => {
    const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const told = Object.fromEntries(
      rowsOf('Dependencies').flatMap(([name]) => {
        const [, dependency, version] = /^`([^`]+)`(?: ([\d.]+))?$/.exec(name!) ?? [];
        return dependency === undefined ? [] : [[dependency, version ?? dependencies[dependency]]];
      }),
    );
    expect(told).toEqual(dependencies);
  });

  it('has the defaults of all options of a pool', () => {
    const pool = new usingpg.AsyncConnectionPool('', { open: false });
    const rows = rowsOf('Pool options');
    const names = rows.flatMap(([option]) => [...option!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
    const unknown = String(refusal(() => new usingpg.AsyncConnectionPool('', { nothing: 1 } as never)));
    expect([...names].sort()).toEqual(/the options are (.*)/.exec(unknown)![1]!.split(', ').sort());
    for (const [option, value] of rows) {
      const [name] = /(?<=`)\w+/.exec(option!) ?? [''];
      if (/^\d+$/.test(value!)) expect(Reflect.get(pool, name), name).toBe(Number(value));
    }
    expect(rows.find(([option]) => option!.startsWith('`minSize`'))![1]).toBe(
      `${String(pool.minSize)}, \`minSize\``,
    );
    expect(pool.maxSize).toBe(pool.minSize);
  });

  it('has the types that values load as, in text and in the binary format', async () => {
    const conn = await connect({ autocommit: true });
    const kinds = new Map<string, string>();
    for (const [types, loaded] of rowsOf('Values')) {
      for (const type of types!.split(', ')) {
        if (type in TEXTS) kinds.set(type, /^(?:ISO 8601 )?`(\w+)`/.exec(loaded!)![1]!.toLowerCase());
      }
    }
    expect([...kinds.keys()].sort()).toEqual(Object.keys(TEXTS).sort());
    for (const [type, kind] of kinds) {
      const query = `SELECT '${TEXTS[type]!}'::${type}, array['${TEXTS[type]!}'::${type}]`;
      // Once its columns are known, a prepared statement requests the binary format of some types.
      for (let execution = 0; execution < 3; execution++) {
        const cur = await conn.execute(query, [], { prepare: true });
        const [value, [element]] = (await cur.fetchone()) as [unknown, [unknown]];
        for (const one of [value, element]) {
          expect(Object(one).constructor.name.toLowerCase(), type).toBe(kind);
        }
      }
    }
  });
});

it.each([...PAGES, 'CHANGELOG.md'])('the links of %s lead somewhere', (path) => {
  const headings = (page: string): string[] =>
    [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );
  for (const [, link] of readFileSync(root + path, 'utf8').matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
    const [file, anchor] = link!.split('#') as [string, string?];
    const target = file === '' ? root + path : join(root, path, '..', file);
    expect(existsSync(target), link).toBe(true);
    if (anchor !== undefined) expect(headings(target), link).toContain(anchor);
  }
});

/** Samples that cannot run here: other hosts, and an optional module. */
const ELSEWHERE = /db1\.example|require\('usingpg'\)/;

/** A value of each type that the README names. */
const TEXTS: Readonly<Record<string, string>> = {
  int2: '1',
  int4: '1',
  oid: '1',
  float4: '1',
  float8: '1',
  int8: '1',
  numeric: '1.50',
  text: 'a',
  varchar: 'a',
  char: 'a',
  name: 'a',
  uuid: '0c3ae4b6-8a3a-4c39-8b1c-5b0f6f0f7b11',
  bool: 't',
  bytea: '\\x01',
  timestamptz: '2024-05-01 00:00+00',
  date: '2024-05-01',
  time: '10:00',
  timetz: '10:00+01',
  timestamp: '2024-05-01',
  interval: '1 day',
};

const TABLES = `
DROP TABLE IF EXISTS city, visit, stock;
CREATE TABLE city (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (START 100), name text, country text DEFAULT 'FR', population int DEFAULT 0);
CREATE TABLE visit (city text, name text);
CREATE TABLE stock (n int)`;

/** Declarations of the samples' free variables for the compiler; `run()` provides those that a running sample needs. */
const NAMES = `
declare const client: import('pg').Client, cur: AsyncCursor, source: AsyncConnection, target: AsyncConnection;
declare const conn: AsyncConnection, pool: AsyncConnectionPool, copy: AsyncCopy, card: CompositeInfo | null;
declare const id: number, limit: number, ids: number[], table: string, columns: string[], name: string, founded: number | null;
declare const cities: { id: number; name: string }[], rows: [number, string][];
declare const lookForJobs: () => Promise<void>, runJob: (payload: string) => Promise<void>, stringify: (value: unknown) => string;
declare class Decimal { constructor(text: string); toFixed(): string }
declare class Point { x: number; y: number }
`;

/** A module that an example imports and that is not installed. */
const MODULES = `declare module 'lossless-json' { export function parse(text: string): unknown }`;

function files(folder: string, end: string): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => `${folder}/${name}`);
}

function samplesOfPage(path: string): Sample[] {
  const text = readFileSync(root + path, 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code }) => ({
    place: `${path}:${String(lineOf(text, index) + 1)}`,
    code: code!.trimEnd(),
  }));
}

function samplesOfDocstrings(path: string): Sample[] {
  const text = readFileSync(root + path, 'utf8');
  return [...text.matchAll(/^ *\* @example\n(.*?)(?=^ *\*(?:\/| @))/gms)].map(({ index, 1: lines }) => ({
    place: `${path}:${String(lineOf(text, index) + 1)}`,
    code: lines!.replace(/^ *\* ?/gm, '').trimEnd(),
  }));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** The compiler's errors in samples; each sample is a module with all exports of the package and `NAMES`. */
function mistakesIn(samples: readonly Sample[]): string[] {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)).config,
    ts.sys,
    root,
  );
  const sources = new Map(
    samples.map((sample, index) => [
      `${root}test/package/sample-${String(index)}.ts`,
      { sample, text: asModule(sample.code, NAMES) },
    ]),
  );
  const host = ts.createCompilerHost({ ...options });
  const onDisk = { ...host };
  const modules = `${root}test/package/sample-modules.d.ts`;
  const made = (path: string): string | undefined => (path === modules ? MODULES : sources.get(path)?.text);
  host.fileExists = (path) => made(path) !== undefined || onDisk.fileExists(path);
  host.readFile = (path) => made(path) ?? onDisk.readFile(path);
  host.getSourceFile = (path, ...rest) => {
    const text = made(path);
    return text === undefined
      ? onDisk.getSourceFile(path, ...rest)
      : ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  };
  const program = ts.createProgram(
    [modules, ...sources.keys()],
    {
      ...options,
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths: { usingpg: [`${root}src/index.ts`] },
    },
    host,
  );
  return [...sources].flatMap(([path, { sample, text }]) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ start, messageText }) =>
        `${sample.place}: ${text.slice(start, text.indexOf('\n', start))}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  });
}

/** A module with a sample's code, in the scope of the package's exports and of `prelude`. */
function asModule(code: string, prelude: string, parameters: readonly string[] = []): string {
  const imports = [...code.matchAll(/^import .*;.*\n/gm)].map(([line]) => line);
  const names = Object.keys(usingpg).filter(
    (name) => !imports.some((line) => line.match(/\w+/g)!.includes(name)),
  );
  const temporal = imports.some((line) => line.includes('Temporal'))
    ? ''
    : "import { Temporal } from 'temporal-polyfill';";
  return `import { ${names.join(', ')} } from 'usingpg';
import { pipeline } from 'node:stream/promises';
import { createReadStream, createWriteStream } from 'node:fs';
import { createGzip } from 'node:zlib';
${temporal}
${imports.join('')}
${prelude}
export default async ({ ${parameters.join(', ')} }: any): Promise<void> => {{
${imports.reduce((rest, line) => rest.replace(line, ''), code)}
}};
`;
}

async function evaluate(code: string, world: object): Promise<void> {
  const { outputText } = ts.transpileModule(asModule(code, '', Object.keys(world)), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const require = createRequire(import.meta.url);
  const exports: { default?: (world: object) => Promise<void> } = {};
  compileFunction(outputText, ['exports', 'require'])(exports, (name: string): unknown =>
    name === 'usingpg' ? usingpg : require(name),
  );
  await exports.default!(world);
}

function refusal(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}
