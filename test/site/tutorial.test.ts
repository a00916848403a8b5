import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admin, dsn } from '../support/database.js';
import { freePort } from '../support/server.js';
import { linkPackage } from './linked-package.js';
import { root } from './samples.js';

/*
 * The tutorial, done as its reader does it: each step's files are written into an empty folder, and its commands are run there.
 * What is installed is linked instead; usingpg is what this checkout packs.
 */
const run = promisify(execFile);
const DATABASE = 'tutorial';
const LIMIT = 300_000;

interface Block {
  readonly kind: string;
  /** The name of the file that it is. */
  readonly title: string | undefined;
  readonly text: string;
}

let folder: string;
let sections: readonly (readonly Block[])[];
let service: Service | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usingpg-tutorial-'));
  const page = await readFile(join(root, 'docs/tutorial.md'), 'utf8');
  sections = page.split(/^## /m).map((section) =>
    [...section.matchAll(/^```(\w+)(?: \[([^\]]+)\])?\n(.*?)^```$/gms)].map(([, kind, title, text]) => ({
      kind: kind!,
      title,
      text: text!,
    })),
  );
  await admin(`DROP DATABASE IF EXISTS ${DATABASE}`);
  await admin(`CREATE DATABASE ${DATABASE}`);
});

afterAll(async () => {
  await service?.kill();
  await admin(`DROP DATABASE ${DATABASE} WITH (FORCE)`);
  await rm(folder, { recursive: true, force: true });
});

test('step 1: what is installed is what the files need', { timeout: LIMIT }, async () => {
  await write(1);
  const installed = [...commands(1).matchAll(/^npm install (?:--save-dev )?(.*)$/gm)].flatMap(([, names]) =>
    names!.split(' '),
  );
  expect(installed).toContain('usingpg');
  for (const name of installed) await linkPackage(folder, name);
  // Installing makes one.
  await writeFile(join(folder, 'package.json'), '{}');
  for (const [command] of commands(1).matchAll(/^npm pkg set .*$/gm)) {
    await run('sh', ['-c', command], { cwd: folder });
  }
});

test('step 2: the first program makes the tables and prints the stock', { timeout: LIMIT }, async () => {
  await write(2);
  expect(commands(2)).toBe('npx tsx src/setup.ts\n');
  expect(await node('src/setup.ts')).toBe(outputOf(2));
});

test('step 3: the service takes orders, and refuses what there is not', { timeout: LIMIT }, async () => {
  await write(3);
  service = await start();
  const answers = await ask(3);
  expect(answers.map(({ body }) => body).join('\n') + '\n').toBe(outputOf(3));
  expect(answers.map(({ status }) => status)).toEqual([201, 200, 409]);
  await service.kill();
});

test('steps 4 to 6: its tests pass, and leave no row behind', { timeout: LIMIT }, async () => {
  for (const section of [4, 5, 6]) await write(section);
  expect(commands(6)).toBe('npm test\nnpm run typecheck\n');
  const before = await rowsOf();
  const output = await node('--test', '--test-reporter=spec', 'test/app.test.ts');
  expect(output).toMatch(/pass 3\b/);
  expect(output).toMatch(/fail 0\b/);
  expect(await rowsOf()).toEqual(before);
});

test(
  'steps 7 and 8: invoices are written, metrics told, and it ends by itself',
  { timeout: LIMIT },
  async () => {
    for (const section of [7, 8]) await write(section);
    service = await start();
    const [order, metrics] = await ask(8);
    expect(order!.status).toBe(201);
    expect(metrics!.body).toMatch(/^db_query_seconds_count\{operation="INSERT",sqlstate=""\} 1$/m);
    expect(metrics!.body).toMatch(/^db_requests_waiting \d+$/m);
    // The one of step 3, which nothing has notified this process of, and the one of a moment ago.
    await expect.poll(() => uninvoiced(), { timeout: 60_000 }).toBe(0);
    expect(await (await fetch(`${service.address}/orders/1`)).json()).toMatchObject({ invoiced: true });
    expect(await service.stop()).toEqual({ code: 0, output: 'listening\nstopped\n' });
  },
);

test('the compiler finds no mistake', { timeout: LIMIT }, async () => {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '--pretty', 'false'], {
    cwd: folder,
  }).catch((error: unknown) => error as { stdout: string });
  expect(stdout).toBe('');
});

// --- the reader

async function write(section: number): Promise<void> {
  for (const { title, text } of sections[section]!) {
    if (title === undefined) continue;
    const path = join(folder, title);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

function commands(section: number): string {
  return textOf(section, 'sh');
}

function outputOf(section: number): string {
  return textOf(section, 'text');
}

function textOf(section: number, kind: string): string {
  return sections[section]!.filter((block) => block.kind === kind)
    .map(({ text }) => text)
    .join('');
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, DATABASE_URL: dsn({ dbname: DATABASE }), NODE_OPTIONS: '', NO_COLOR: '1' };
}

async function node(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', ...args], {
    cwd: folder,
    env: environment(),
  });
  return stdout;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends what the `curl` commands of a section send. */
async function ask(section: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const [, line] of commands(section).matchAll(/^curl (.*)$/gm)) {
    const words = [...line!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
    const option = (name: string): string | undefined =>
      words.includes(name) ? words[words.indexOf(name) + 1] : undefined;
    const path = /localhost:3000(\S*)/.exec(line!)![1]!;
    const [header, value] = (option('-H') ?? 'accept: */*').split(': ');
    const body = option('-d');
    const response = await fetch(service!.address + path, {
      method: option('-X') ?? 'GET',
      headers: { [header!]: value! },
      ...(body === undefined ? {} : { body }),
    });
    answers.push({ status: response.status, body: await response.text() });
  }
  return answers;
}

async function rowsOf(): Promise<unknown> {
  const stock = await run(process.execPath, ['--import', 'tsx', '-e', COUNT], {
    cwd: folder,
    env: environment(),
  });
  return stock.stdout;
}

async function uninvoiced(): Promise<number> {
  return (JSON.parse((await rowsOf()) as string) as { uninvoiced: number }).uninvoiced;
}

const COUNT = `
import { AsyncConnection, dictRow } from 'usingpg';
AsyncConnection.withConnection(process.env.DATABASE_URL, async (conn) => {
  const cur = await conn.execute(
    'SELECT (SELECT json_agg(stock ORDER BY item) FROM stock) AS stock, (SELECT count(*)::int FROM orders) AS orders,' +
      ' (SELECT count(*)::int FROM orders WHERE invoiced_at IS NULL) AS uninvoiced',
    null,
    { rowFactory: dictRow },
  );
  console.log(JSON.stringify(await cur.fetchone()));
});`;

// --- the service, in a process of its own

interface Service {
  readonly address: string;
  /** Ends it as Ctrl-C does. */
  stop(): Promise<{ code: number | null; output: string }>;
  kill(): Promise<void>;
}

/** What `npm start` starts; resolves when it listens. */
async function start(): Promise<Service> {
  const port = await freePort();
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    scripts: { start: string };
  };
  expect(manifest.scripts.start).toBe('tsx src/server.ts');
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'src/server.ts'], {
    cwd: folder,
    env: { ...environment(), PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const closed = once(child, 'close') as Promise<[number | null]>;
  await expect
    .poll(() => (child.exitCode === null ? output : Promise.reject(new Error(output))), { timeout: 60_000 })
    .toContain('listening\n');
  const end = async (signal: NodeJS.Signals): Promise<{ code: number | null; output: string }> => {
    child.kill(signal);
    const [code] = await closed;
    return { code, output };
  };
  return {
    address: `http://127.0.0.1:${String(port)}`,
    stop: () => end('SIGINT'),
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) await end('SIGKILL');
    },
  };
}
