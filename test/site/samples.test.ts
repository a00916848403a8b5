import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatWithOptions } from 'node:util';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished, test } from 'vitest';
import { AsyncConnection, AsyncConnectionPool } from '../../src/index.js';
import { admin, applicationName, connect, dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';
import {
  evaluate,
  files,
  mistakesIn,
  PAGES,
  root,
  samplesOfDocstrings,
  samplesOfPage,
  type Sample,
} from './samples.js';

const samples = PAGES.flatMap(samplesOfPage);
const docstrings = files('src', '.ts').flatMap(samplesOfDocstrings);

test('the samples compile, with nothing but what is exported', { timeout: 300_000 }, () => {
  expect(samples.length).toBeGreaterThan(120);
  expect(docstrings.length).toBeGreaterThan(40);
  expect(mistakesIn([...samples, ...docstrings])).toEqual([]);
});

/** The pages with programs to run. What CONTRIBUTING shows is a test. */
const running = PAGES.filter(
  (page) => page !== 'CONTRIBUTING.md' && samplesOfPage(page).some(({ onlyCompiled }) => !onlyCompiled),
);

/*
 * Each sample of a page is run as it stands, in the order of the page, in a database with the tables of the page's SQL, or with some
 * that samples take for granted if it neither has SQL nor makes its tables itself. 'postgresql://localhost/app' is that database. A
 * comment behind console.log() says what it prints.
 */
describe.each(running)('%s', (page) => {
  const text = readFileSync(root + page, 'utf8');
  const source = `page_${page.toLowerCase().replace(/\W/g, '_')}`;
  // Only some copy to another database.
  const target = /\btarget\./.test(text) ? `${source}_target` : source;
  const databases = new Set([source, target]);

  beforeAll(async () => {
    for (const dbname of databases) {
      await admin(`DROP DATABASE IF EXISTS ${dbname}`);
      await admin(`CREATE DATABASE ${dbname}`);
      await AsyncConnection.withConnection(dsn({ dbname }), async (conn) => {
        for (const code of dbname === source ? tablesOf(text) : [TABLES]) await conn.execute(code);
      });
    }
  });

  afterAll(async () => {
    for (const dbname of databases) await admin(`DROP DATABASE ${dbname} WITH (FORCE)`);
  });

  afterEach(() => {
    // A page defines it.
    Reflect.deleteProperty(BigInt.prototype, 'toJSON');
  });

  const programs = samplesOfPage(page).filter(({ onlyCompiled }) => !onlyCompiled);
  it.each(programs)('$place: prints what it says', async (sample) => {
    const conn = await connect({}, { dbname: source });
    const client = new pg.Client(urlOf(source));
    await client.connect();
    onTestFinished(() => client.end());
    const pool = new AsyncConnectionPool(urlOf(source), { minSize: 1, maxSize: 4 });
    onTestFinished(() => pool.close());
    const servers: http.Server[] = [];
    onTestFinished(() => {
      for (const server of servers) server.close().closeAllConnections();
    });
    const world = {
      client,
      conn,
      pool,
      cur: conn.cursor(),
      source: conn,
      target: await connect({}, { dbname: target }),
      dsn: urlOf(source),
      ...VALUES,
    };
    const { expected, printed } = await run(sample, world, servers);
    for (const [place, texts] of printed) expect(texts, sample.place).toContain(expected[place]);
    expect([...printed.keys()].sort(), 'the calls that print').toEqual(Object.keys(expected).map(Number));
    for (const server of servers) {
      const response = await fetch(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`);
      expect(response.status).toBe(200);
      const lines = (await response.text()).trimEnd().split('\n');
      expect(lines.length).toBeGreaterThanOrEqual(10_000);
      expect(lines.at(-1)).toContain('city 10000');
    }
  });
});

/** A database as a URL, which every client takes. */
function urlOf(dbname: string): string {
  const url = new URL(inject('dsn'));
  url.pathname = dbname;
  url.searchParams.set('application_name', applicationName());
  return url.href;
}

function tablesOf(page: string): string[] {
  const sql = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, code]) => code!);
  if (sql.length > 0) return sql;
  return /^```ts\n(?:(?!^```).)*CREATE TABLE/ms.test(page) ? [] : [TABLES, ROWS];
}

/** What a program says that it prints, and what it has printed, by the number of the call. */
interface Outcome {
  readonly expected: readonly string[];
  readonly printed: ReadonlyMap<number, readonly string[]>;
}

async function run(
  { code }: Sample,
  world: { readonly client: pg.Client },
  servers: http.Server[],
): Promise<Outcome> {
  const { program, expected } = told(
    code
      .replaceAll(/'postgresql:\/\/(?:app@)?localhost\/app[^']*'/g, 'dsn')
      .replaceAll('AsyncConnection.connect()', 'AsyncConnection.connect(dsn)'),
  );
  const printed = new Map<number, string[]>();
  const print = (place: number, ...values: unknown[]): void => {
    const line = formatWithOptions({ breakLength: Infinity }, ...values).replace(/\s+/g, ' ');
    printed.set(place, [...(printed.get(place) ?? []), line]);
  };
  /** Ends a loop that would go on as long as its program does. */
  const enough = new Error('enough');
  const stopAt = (payload: unknown): void => {
    if (payload === THE_LAST) throw enough;
  };
  const isListening = /LISTEN|new Listener/.test(code);
  const notifying = isListening
    ? setInterval(() => void world.client.query(`NOTIFY jobs, '${THE_LAST}'`), 50)
    : undefined;
  // A program listens on a port of its own choice; here it gets one that is free.
  const createServer = (handler: http.RequestListener): http.Server => {
    const server = http.createServer(handler);
    const listen = server.listen.bind(server);
    server.listen = () => listen(0, '127.0.0.1');
    servers.push(server);
    return server;
  };
  const globals = {
    ...world,
    told: print,
    console: { log: stopAt, warn: () => undefined, error: () => undefined },
    lookForJobs: () => Promise.resolve(),
    runJob: async (payload: string) => {
      await Promise.resolve();
      stopAt(payload);
    },
  };
  try {
    // A page shows what comes of a commit that was forgotten.
    await warningsOf('USINGPG_UNCOMMITTED', () =>
      evaluate(program, globals, { 'node:http': { ...http, createServer } }),
    );
  } catch (error) {
    if (error !== enough) throw error;
  } finally {
    clearInterval(notifying);
  }
  return { expected, printed };
}

/** The program with `told(n, …)` for each `console.log(…); // what it prints`, and what those comments say. */
function told(code: string): { program: string; expected: string[] } {
  const source = ts.createSourceFile('sample.ts', code, ts.ScriptTarget.ES2022, true);
  const calls: { start: number; end: number }[] = [];
  const expected: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) && ts.isCallExpression(node.expression)) {
      const { expression } = node.expression;
      const [comment] = ts.getTrailingCommentRanges(code, node.end) ?? [];
      if (expression.getText() === 'console.log' && comment !== undefined) {
        calls.push({ start: expression.getStart(), end: expression.end });
        expected.push(code.slice(comment.pos + 2, comment.end).trim());
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  let program = code;
  for (const [n, { start, end }] of [...calls.entries()].reverse()) {
    const open = program.indexOf('(', end);
    program = `${program.slice(0, start)}told(${String(n)}, ${program.slice(open + 1)}`;
  }
  return { program, expected };
}

const THE_LAST = 'the last job';

/** Variables of simple values that samples take for granted. */
const VALUES = {
  id: 1,
  ids: [1, 2, 3],
  table: 'city',
  cities: [{ id: 11, name: 'Bergen' }],
  rows: [
    [21, 'Oslo'],
    [22, 'Tromsø'],
  ],
};

const TABLES = `
CREATE TABLE city (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (START 100), name text, country text DEFAULT 'FR', population int DEFAULT 0);
CREATE TABLE visit (city text, name text);
CREATE TABLE stock (n int);`;
const ROWS = "INSERT INTO city SELECT n, 'city ' || n, 'FR', n FROM generate_series(1, 3) n;";
