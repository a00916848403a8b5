import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { formatWithOptions } from 'node:util';
import { compileFunction } from 'node:vm';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import * as usingpg from '../../src/index.js';
import { admin, applicationName, connect, dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

/*
 * The samples of these pages are programs. Each is run as it stands, in the order of its page, in a database with the tables of
 * the page's SQL; `pool` and `conn` are there, and 'postgresql://localhost/app' is that database. A comment behind console.log()
 * says what it prints. That they compile is tested with all other samples.
 */
const PAGES = [
  'start.md',
  'failure-and-cure.md',
  'faq.md',
  'coming-from/pg.md',
  'coming-from/postgres.md',
  'coming-from/psycopg2.md',
  'coming-from/asyncpg.md',
  'guides/parameters.md',
  'guides/rows.md',
  'guides/large-results.md',
  'guides/testing.md',
  'zh/start.md',
  'zh/failure-and-cure.md',
];

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(docs + page, 'utf8');
  const samples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code }) => ({
    line: text.slice(0, index).split('\n').length + 1,
    code: code!,
  }));
  const dbname = `page_${page.replace(/\W/g, '_')}`;

  beforeAll(async () => {
    await admin(`DROP DATABASE IF EXISTS ${dbname}`);
    await admin(`CREATE DATABASE ${dbname}`);
    await usingpg.AsyncConnection.withConnection(dsn({ dbname }), async (conn) => {
      for (const [, sql] of text.matchAll(/^```sql\n(.*?)^```$/gms)) await conn.execute(sql!);
    });
  });

  afterAll(async () => {
    await admin(`DROP DATABASE ${dbname} WITH (FORCE)`);
  });

  afterEach(() => {
    // A page defines it.
    Reflect.deleteProperty(BigInt.prototype, 'toJSON');
  });

  it.each(samples)('line $line: prints what it says', async ({ code }) => {
    const conninfo = urlOf(dbname);
    const conn = await connect({}, { dbname });
    const pool = new usingpg.AsyncConnectionPool(conninfo, { minSize: 1, maxSize: 4 });
    onTestFinished(() => pool.close());
    const servers: http.Server[] = [];
    onTestFinished(() => {
      for (const server of servers) server.close().closeAllConnections();
    });
    const { expected, printed } = await run(code, { conn, pool, dsn: conninfo }, servers);
    for (const [place, texts] of printed) expect(texts, code).toContain(expected[place]);
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

/** What a program says that it prints, and what it has printed, by the number of the call. */
interface Outcome {
  readonly expected: readonly string[];
  readonly printed: ReadonlyMap<number, readonly string[]>;
}

async function run(code: string, world: object, servers: http.Server[]): Promise<Outcome> {
  const { program, expected } = told(code.replaceAll("'postgresql://localhost/app'", 'dsn'));
  const printed = new Map<number, string[]>();
  const told_ = (place: number, ...values: unknown[]): void => {
    const line = formatWithOptions({ breakLength: Infinity }, ...values).replace(/\s+/g, ' ');
    printed.set(place, [...(printed.get(place) ?? []), line]);
  };
  const silent = { log: () => undefined, error: () => undefined };
  // A program listens on a port of its own choice; here it gets one that is free.
  const createServer = (handler: http.RequestListener): http.Server => {
    const server = http.createServer(handler);
    const listen = server.listen.bind(server);
    server.listen = () => listen(0, '127.0.0.1');
    servers.push(server);
    return server;
  };
  const modules: Record<string, unknown> = { usingpg, 'node:http': { ...http, createServer } };
  const require = createRequire(import.meta.url);
  const globals = { ...world, told: told_, console: silent };
  const imports = [...program.matchAll(/^import .*;\n/gm)].map(([line]) => line);
  const body = imports.reduce((rest, line) => rest.replace(line, ''), program);
  const { outputText } = ts.transpileModule(
    `${imports.join('')}export default async ({ ${Object.keys(globals).join(', ')} }) => {{\n${body}\n}}`,
    {
      compilerOptions: {
        module: ts.ModuleKind.CommonJS,
        target: ts.ScriptTarget.ES2022,
        esModuleInterop: true,
      },
    },
  );
  const exports: { default?: (world: object) => Promise<void> } = {};
  compileFunction(outputText, ['exports', 'require'])(
    exports,
    (name: string): unknown => modules[name] ?? require(name),
  );
  // A page shows what comes of a commit that was forgotten.
  await warningsOf('USINGPG_UNCOMMITTED', () => exports.default!(globals));
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
