import { mkdtemp, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { conninfoToDict } from '../../src/index.js';
import { CertificateAuthority } from '../support/certificates.js';
import { PASSWORD_ROLE, startOwnServer, type TestServer } from '../support/server.js';
import { install, root, run } from '../support/packed.js';
import { canBeMissing, programOf, runtimes } from './runtimes/programs.js';

const MINUTE = 60_000;
const directory = join(root, 'test/package/runtimes');

interface Outcome {
  readonly name: string;
  readonly skipped: boolean;
  readonly error: string | null;
}

const { suite } = (await import(pathToFileURL(join(directory, 'suite.mjs')).href)) as {
  suite: (usingpg: object, servers: object) => Record<string, unknown>;
};
const tests = Object.keys(suite({}, {}));

/** How many tests each runtime has passed, unless it can't be had. */
const passed = new Map<string, number>();

let home: string;
let project: string;
let server: TestServer;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'usingpg-runtimes-'));
  project = await install(home, 'project', { type: 'module' });
  await cp(directory, project, { recursive: true });
  for (const peer of ['kysely', 'drizzle-orm']) {
    await cp(join(root, 'node_modules', peer), join(project, 'node_modules', peer), { recursive: true });
  }
  await addPeer(project, '@opentelemetry/api');
  const authority = await CertificateAuthority.create('usingpg test authority');
  const identity = await authority.issue({
    name: 'irrelevant',
    altNames: [{ type: 'dns', value: 'localhost' }],
  });
  server = await startOwnServer({
    settings: { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' },
    files: { 'server.crt': identity.cert, 'server.key': identity.key },
  });
  const { cert: stranger } = await CertificateAuthority.create('usingpg test stranger');
  await writeFile(join(home, 'root.crt'), authority.cert);
  await writeFile(join(home, 'other.crt'), stranger);
  const tls = {
    ...PASSWORD_ROLE,
    host: 'localhost',
    hostaddr: '127.0.0.1',
    port: conninfoToDict(server.dsn).port,
    dbname: 'postgres',
    sslrootcert: join(home, 'root.crt'),
  };
  const servers = { dsn: inject('dsn'), tls, otherAuthority: join(home, 'other.crt') };
  env = { ...process.env, SERVERS: JSON.stringify(servers), NODE_OPTIONS: '', NO_COLOR: '1' };
}, 4 * MINUTE);

afterAll(async () => {
  await server.stop();
  await rm(home, { recursive: true, force: true });
});

/** A copy: not every runtime follows links out of the project. */
function addPeer(folder: string, name: string): Promise<void> {
  return cp(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
}

describe.each(runtimes)('the package in $name', (runtime) => {
  let outcomes: ReadonlyMap<string, Outcome>;
  let missing: Error | null = null;

  beforeAll(async () => {
    let command: readonly string[];
    try {
      command = await programOf(runtime);
    } catch (error) {
      if (!canBeMissing()) throw error;
      missing = error as Error;
      return;
    }
    const [program, ...args] = command;
    const { stdout } = await run(program!, [...args, 'run.mjs'], { cwd: project, env, timeout: 3 * MINUTE });
    const lines = stdout.trim().split('\n');
    outcomes = new Map(lines.map((line) => JSON.parse(line) as Outcome).map((each) => [each.name, each]));
    const good = [...outcomes.values()].filter(({ skipped, error }) => !skipped && error === null);
    passed.set(runtime.name, good.length);
    console.log(`${runtime.name} (${runtime.version}): ${String(good.length)} tests passed`);
  }, 8 * MINUTE);

  test.for(tests)('%s', (name, context) => {
    if (missing !== null) return context.skip(`it can't be had here: ${missing.message}`);
    const outcome = outcomes.get(name);
    expect(outcome?.error).toBe(null);
    if (outcome!.skipped) context.skip('the runtime has not the means for it');
  });
});

test('the guide to runtimes says what each of them has passed', async () => {
  const page = await readFile(join(root, 'docs/guides/bundlers.md'), 'utf8');
  const [table] = /^\| runtime .*\n(\|.*\n)+/m.exec(page)!;
  const rows = table.matchAll(/^\| (\w+(?: \d+)?) +\| ([\d.]+) +\| +(\d+) of (\d+) \|/gm);
  const claimed = Array.from(rows, ([, name, version, count, all]) => ({ name, version, count, all }));
  expect(claimed).toEqual(
    runtimes.map(({ name, version }, i) => ({
      name,
      version,
      count: passed.has(name) ? String(passed.get(name)) : claimed[i]?.count,
      all: String(tests.length),
    })),
  );
});
