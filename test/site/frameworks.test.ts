import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AsyncConnection } from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';
import { freePort } from '../support/server.js';
import { linkPackage } from './linked-package.js';
import { filesOf, makeProject, mistakesOfProject, writeInto } from './page-project.js';
import { root } from './samples.js';

/*
 * The services of the guide to frameworks: the files of each are written into an empty folder, compiled, and run as a process that is
 * sent concurrent requests and is then ended as a supervisor ends it. usingpg is what this checkout packs.
 */
const DATABASE = 'frameworks';
const LIMIT = 300_000;
/** The service's application_name. */
const SERVICE = 'usingpg test of frameworks';
const MONEY = 2000;

const page = await readFile(join(root, 'docs/guides/frameworks.md'), 'utf8');
const [shared, ...frameworks] = page.split(/^## /m).map((section) => ({
  name: section.slice(0, section.indexOf('\n')),
  files: filesOf(section),
}));
const schema = shared!.files.find(({ title }) => title === 'schema.sql')!.text;

test('the guide has a service for each framework', () => {
  expect(frameworks.map(({ name }) => name)).toEqual(['Express', 'Fastify', 'Hono', 'NestJS']);
});

describe.each(frameworks)('the service of $name', ({ files }) => {
  let folder: string;
  let service: Service | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'usingpg-frameworks-'));
    for (const file of [...shared!.files, ...files]) await writeInto(folder, file);
    await makeProject(folder, { experimentalDecorators: true });
    const packages = files.flatMap(({ text }) =>
      [...text.matchAll(/from '((?:@[^/']+\/)?[^./'][^/']*)'/g)].map(([, imported]) => imported!),
    );
    const linked = new Set(
      [...packages, 'usingpg', 'tsx', '@types'].filter((each) => !each.startsWith('node:')),
    );
    if (linked.delete('@hono/node-server')) {
      for (const [name, text] of Object.entries(HONO_SERVER)) {
        await writeInto(folder, { title: `node_modules/@hono/node-server/${name}`, text });
      }
    }
    if (linked.has('@nestjs/core'))
      for (const each of ['reflect-metadata', '@nestjs/platform-express']) linked.add(each);
    for (const each of linked) await linkPackage(folder, each);
    await admin(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await admin(`CREATE DATABASE ${DATABASE}`);
    await AsyncConnection.withConnection(dsn({ dbname: DATABASE }), (conn) => conn.execute(schema));
  }, LIMIT);

  afterAll(async () => {
    await service?.kill();
    await admin(`DROP DATABASE ${DATABASE} WITH (FORCE)`);
    await rm(folder, { recursive: true, force: true });
  }, LIMIT);

  test('compiles', { timeout: LIMIT }, async () => {
    expect(await mistakesOfProject(folder)).toBe('');
  });

  test(
    'does what many requests at once ask for, and answers what it has begun before it ends',
    { timeout: LIMIT },
    async () => {
      service = await start(folder);
      const { address, stop } = service;
      const statuses = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const [from, to] = i % 2 === 0 ? [1, 2] : [2, 1];
          return pay(address, from, to, i + 1);
        }),
      );
      expect(new Set(statuses)).toEqual(new Set([204]));
      // 50 more went one way than the other.
      expect([await balanceOf(address, 1), await balanceOf(address, 2)]).toEqual([1050, 950]);
      expect(await pay(address, 2, 1, MONEY)).toBe(409);
      expect([await balanceOf(address, 1), await balanceOf(address, 2)]).toEqual([1050, 950]);
      expect((await fetch(`${address}/accounts/3`)).status).toBe(404);
      expect(await connections()).toBeLessThanOrEqual(10);

      const conn = await connect({}, { dbname: DATABASE });
      await conn.execute('SELECT FROM account WHERE id = 1 FOR UPDATE');
      const underWay = pay(address, 1, 2, 50);
      await expect.poll(() => connections('Lock')).toBe(1);
      const stopped = stop('SIGTERM');
      await expect.poll(() => isServing(address)).toBe(false);
      await conn.rollback();
      expect(await underWay).toBe(204);
      expect(await stopped).toEqual({ code: 0, output: 'listening\n' });
      await expect.poll(() => connections()).toBe(0);
      const cur = await conn.execute('SELECT balance FROM account ORDER BY id');
      expect(await cur.fetchall()).toEqual([[1000], [1000]]);
    },
  );
});

async function balanceOf(address: string, id: number): Promise<number> {
  const response = await fetch(`${address}/accounts/${String(id)}`);
  return ((await response.json()) as { balance: number }).balance;
}

function isServing(address: string): Promise<boolean> {
  return fetch(`${address}/accounts/2`).then(
    async (response) => {
      await response.arrayBuffer();
      return true;
    },
    () => false,
  );
}

async function pay(address: string, from: number, to: number, amount: number): Promise<number> {
  const response = await fetch(`${address}/transfers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ from, to, amount }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** The connections of the service, or those that wait for a lock. */
async function connections(waitFor = '%'): Promise<number> {
  const rows = await admin(
    "SELECT FROM pg_stat_activity WHERE application_name = $1 AND coalesce(wait_event_type, '') LIKE $2",
    [SERVICE, waitFor],
  );
  return rows.length;
}

/** Stands for Hono's adapter to Node, which is no package of this project: requests and responses of the web on node:http. */
const HONO_SERVER = {
  'package.json': '{ "type": "module", "exports": "./index.js", "types": "./index.d.ts" }',
  'index.d.ts': `import type { Server } from 'node:http';
export declare function serve(options: {
  fetch: (request: Request) => Response | Promise<Response>;
  port: number;
  hostname: string;
}): Server;
`,
  'index.js': `import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
export function serve({ fetch, port, hostname }) {
  return createServer(async (request, response) => {
    const { method, url, headers } = request;
    const body = method === 'GET' ? null : await buffer(request);
    const answer = await fetch(new Request('http://' + headers.host + url, { method, headers, body }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
  }).listen(port, hostname);
}
`,
};

// --- a service, in a process of its own

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

interface Service {
  readonly address: string;
  readonly stop: (signal: NodeJS.Signals) => Promise<Outcome>;
  readonly kill: () => Promise<void>;
}

/** Starts a service; resolves when it listens. */
async function start(folder: string): Promise<Service> {
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'src/server.ts'], {
    cwd: folder,
    env: {
      ...process.env,
      DATABASE_URL: dsn({ dbname: DATABASE, application_name: SERVICE }),
      PORT: String(port),
      NODE_OPTIONS: '',
      NO_COLOR: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const closed = once(child, 'close') as Promise<[number | null]>;
  await expect.poll(() => output !== '' || child.exitCode !== null, { timeout: 60_000 }).toBe(true);
  expect(output).toBe('listening\n');
  const stop = async (signal: NodeJS.Signals): Promise<Outcome> => {
    child.kill(signal);
    const [code] = await closed;
    return { code, output };
  };
  return {
    address: `http://127.0.0.1:${String(port)}`,
    stop,
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop('SIGKILL');
    },
  };
}
