import { execFile } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { AsyncConnection } from '../../src/index.js';
import { admin, dsn } from '../support/database.js';
import { linkPackage } from './linked-package.js';
import { filesOf, makeProject, mistakesOfProject, writeInto } from './page-project.js';
import { root } from './samples.js';

/*
 * The project of the guide to typed SQL: its files are written into an empty folder, compiled, and given to ESLint with SafeQL, which
 * asks the server of this run. usingpg is what this checkout packs.
 */
const run = promisify(execFile);
const DATABASE = 'typed_sql';
const LIMIT = 300_000;
const PACKAGES = [
  'usingpg',
  'eslint',
  'typescript',
  'typescript-eslint',
  '@ts-safeql/eslint-plugin',
  'libpg-query',
  '@types',
];

interface Finding {
  readonly line: number;
  readonly message: string;
}

const UNSEEN = `import { sql } from 'usingpg';
import { pool } from './db.js';
export async function unseen(country: string, day: string): Promise<void> {
  await pool.execute<{ id: number }>(sql\`SELECT id FROM city WHERE \${sql\`country = \${country}\`}\`);
  await pool.execute<{ id: number }>(sql\`SELECT id FROM \${sql.identifier('city')}\`);
  await pool.execute<{ id: number }>(sql\`SELECT id FROM city WHERE founded = \${day}\`);
  await pool.execute<{ id: number }>(sql\`SELECT id FROM city WHERE founded = \${day}::date\`);
  await pool.execute<{ id: number }>('SELECT nam FROM city');
  const query = sql\`SELECT nam FROM city\`;
  await pool.execute<{ id: number }>(query);
}
`;

let folder: string;
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usingpg-typed-sql-'));
  const page = await readFile(join(root, 'docs/guides/typed-sql.md'), 'utf8');
  files = new Map(filesOf(page).map(({ title, text }) => [title, text]));
  for (const [title, text] of files) await write(title, text);
  await makeProject(folder);
  const [, installed] = /^npm install --save-dev (.*)$/m.exec(page)!;
  expect(PACKAGES).toEqual(expect.arrayContaining(installed!.split(' ')));
  for (const name of PACKAGES) await linkPackage(folder, name);
  await admin(`DROP DATABASE IF EXISTS ${DATABASE}`);
  await admin(`CREATE DATABASE ${DATABASE}`);
  await AsyncConnection.withConnection(dsn({ dbname: DATABASE }), (conn) =>
    conn.execute(files.get('schema.sql')!),
  );
}, LIMIT);

afterAll(async () => {
  await admin(`DROP DATABASE ${DATABASE} WITH (FORCE)`);
  await rm(folder, { recursive: true, force: true });
});

test('the project compiles, its mistakes included', { timeout: LIMIT }, async () => {
  expect(await mistakesOfProject(folder)).toBe('');
});

test('right queries pass', { timeout: LIMIT }, async () => {
  expect(await findings('src/cities.ts')).toEqual([]);
});

test('right queries run, and give rows of the types that were compared', { timeout: LIMIT }, async () => {
  await write(
    'src/main.ts',
    `import { inspect } from 'node:util';
import { addCity, everyName, findCities, renameCities } from './cities.js';
import { pool } from './db.js';
const id = await addCity('Roma', 'IT', 2_800_000n);
await renameCities(new Map([[id, 'Rome']]));
const [city] = await findCities(null, new Date(0));
const none = await findCities('FR', new Date(0));
console.log(inspect({ ...city, visited: city?.visited instanceof Date }, { breakLength: Infinity }), none);
for await (const name of everyName()) console.log(name);
await pool.close();
`,
  );
  const { stdout } = await run(
    process.execPath,
    ['--import', join(root, 'node_modules/tsx/dist/loader.mjs'), 'src/main.ts'],
    {
      cwd: folder,
      env: environment(),
    },
  );
  expect(stdout).toBe(
    "{ id: 1, name: 'Rome', country: 'IT', population: 2800000n, founded: null, visited: true, facts: { river: 'Tiber' } } []\nRome\n",
  );
});

test('each mistake is reported as the guide says, and nothing else is', { timeout: LIMIT }, async () => {
  const lines = files.get('src/mistakes.ts')!.split('\n');
  const told = lines.flatMap((line, i) => {
    const [, comment] = /^ *\/\/ (.*)$/.exec(line) ?? [];
    return comment === undefined ? [] : [{ line: i + 2, message: comment }];
  });
  expect(told.length).toBe(6);
  expect(await findings('src/mistakes.ts')).toEqual(told);
});

test('what the guide says that it can not check is reported, or not seen', { timeout: LIMIT }, async () => {
  const found = await findings('src/unseen.ts');
  expect(found.map(({ line }) => line)).toEqual([4, 5, 6]);
  for (const { message } of found.slice(0, 2))
    expect(message).toContain('has no corresponding PostgreSQL type');
  expect(found[2]!.message).toContain('operator does not exist: date = text');
});

function write(title: string, text: string): Promise<void> {
  return writeInto(folder, { title, text });
}

function environment(): NodeJS.ProcessEnv {
  const url = new URL(inject('dsn'));
  url.pathname = DATABASE;
  return { ...process.env, DATABASE_URL: url.href, NODE_OPTIONS: '', NO_COLOR: '1' };
}

let linted: Promise<ReadonlyMap<string, readonly Finding[]>> | null = null;

/** What ESLint finds in a file. It starts once for all files: to know their types is most of its work. */
async function findings(file: string): Promise<readonly Finding[]> {
  return (await (linted ??= lint())).get(join(await realpath(folder), file))!;
}

/** What ESLint finds in each file, each message on one line. */
async function lint(): Promise<ReadonlyMap<string, readonly Finding[]>> {
  await write('src/unseen.ts', UNSEEN);
  const eslint = join(root, 'node_modules/eslint/bin/eslint.js');
  const files = ['src/cities.ts', 'src/mistakes.ts', 'src/unseen.ts'];
  const { stdout } = await run(process.execPath, [eslint, '--format', 'json', ...files], {
    cwd: folder,
    env: environment(),
  }).catch((error: unknown) => error as { stdout: string });
  const results = JSON.parse(stdout) as { filePath: string; messages: Finding[] }[];
  return new Map(
    results.map(({ filePath, messages }) => [
      filePath,
      messages.map(({ line, message }) => ({ line, message: message.replaceAll(/\s+/g, ' ') })),
    ]),
  );
}
