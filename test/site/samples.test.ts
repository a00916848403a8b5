import { setImmediate as tick } from 'node:timers/promises';
import { format } from 'node:util';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it, test } from 'vitest';
import { AsyncConnection, AsyncConnectionPool } from '../../src/index.js';
import { admin, applicationName } from '../support/database.js';
import { takeWarnings } from '../support/warnings.js';
import { evaluate, files, mistakesIn, PAGES, root, samplesOfDocstrings, samplesOfPage } from './samples.js';

const samples = PAGES.flatMap(samplesOfPage);
const docstrings = files('src', '.ts').flatMap(samplesOfDocstrings);

test('the samples compile, with nothing but what is exported', { timeout: 300_000 }, () => {
  expect(samples.length).toBeGreaterThan(80);
  expect(docstrings.length).toBeGreaterThan(40);
  expect(mistakesIn([...samples, ...docstrings])).toEqual([]);
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

/** The pages with something to run. The tutorial's samples are files of one program, which a test of its own puts together. */
const running = PAGES.filter((page) => samplesOfPage(page).some(({ onlyCompiled }) => !onlyCompiled));

it.each(running)('the samples of %s run in their order, and print what their comments say', async (page) => {
  const text = readFileSync(root + page, 'utf8');
  await makeTables(text);
  for (const { code, place, onlyCompiled } of samplesOfPage(page)) {
    if (onlyCompiled) continue;
    const printed = await run(code, place);
    for (const told of code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)) expect(printed, place).toContain(told[1]);
  }
  await tick();
  // A page may show what is warned of, if it says so.
  const warnings = takeWarnings().filter((warning) => !text.includes(warning.split(':')[0]!));
  expect(warnings).toEqual([]);
});

/** Runs a sample as it stands, where variables have the names that it uses. Resolves with the lines that it has printed. */
async function run(code: string, place: string): Promise<string[]> {
  const client = new pg.Client(urlOf('source'));
  await client.connect();
  const conn = await AsyncConnection.connect(urlOf('source'));
  const target = await AsyncConnection.connect(urlOf('target'));
  const pool = new AsyncConnectionPool(urlOf('source'), { minSize: 1, maxSize: 4 });
  const printed: string[] = [];
  /** What ends a loop that would go on as long as its program does. */
  const enough = new Error('enough');
  const print = (...values: unknown[]): void => {
    printed.push(format(...values));
    if (values.includes('the last job')) throw enough;
  };
  const notifying = /LISTEN|Listener/.test(code)
    ? setInterval(() => void client.query("NOTIFY jobs, 'the last job'"), 50)
    : undefined;
  try {
    await evaluate(
      code
        .replaceAll("'postgresql://localhost/app'", 'dsn')
        .replaceAll(/'postgresql:\/\/app@localhost\/app[^']*'|(?<=AsyncConnection\.connect\()(?=\))/g, 'dsn'),
      {
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
        console: { ...console, log: print },
        dsn: urlOf('source'),
      },
    );
  } catch (error) {
    if (error !== enough) throw new Error(`${place}: ${format(error)}`, { cause: error });
  } finally {
    clearInterval(notifying);
    await pool.close();
    for (const connection of [conn, target]) await discard(connection);
    await client.end();
  }
  return printed;
}

/** What a sample has left uncommitted it did not mean to keep. */
async function discard(connection: AsyncConnection): Promise<void> {
  await connection.rollback().catch(() => undefined);
  await connection.close();
}

/** The tables that a page begins with: those of its SQL, none if its samples make them, else some that samples take for granted. */
async function makeTables(page: string): Promise<void> {
  const sql = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, code]) => code!).filter((code) => /^CREATE/m.test(code));
  const isEmpty = sql.length > 0 || /^```ts(?: compiled)?\n(?:(?!^```).)*CREATE TABLE/ms.test(page);
  for (const name of ['source', 'target'] as const) {
    const client = new pg.Client(urlOf(name));
    await client.connect();
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    if (!isEmpty) await client.query(TABLES + (name === 'source' ? ROWS : ''));
    else if (name === 'source') for (const code of sql) await client.query(code);
    await client.end();
  }
}

function urlOf(name: keyof typeof databases): string {
  const url = new URL(inject('dsn'));
  url.pathname = databases[name];
  url.searchParams.set('application_name', applicationName());
  return url.href;
}

const TABLES = `
CREATE TABLE city (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (START 100), name text, country text DEFAULT 'FR', population int DEFAULT 0);
CREATE TABLE visit (city text, name text);
CREATE TABLE stock (n int);`;
const ROWS = "INSERT INTO city SELECT n, 'city ' || n, 'FR', n FROM generate_series(1, 3) n;";
