import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { calls } from '../errors/calls-that-fail.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const MINUTE = 60_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

let home: string;
let source: string;
let packed: Packed;
let tarball: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'usingpg-package-'));
  // Built and packed aside, so that whoever uses dist meanwhile is not disturbed.
  source = join(home, 'package');
  await mkdir(source);
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    if (existsSync(join(root, name))) await copyFile(join(root, name), join(source, name));
  }
  await run(bin('tsup'), ['--out-dir', join(source, 'dist')], { cwd: root, maxBuffer: 1e8 });
  const { stdout } = await npm(source, 'pack', '--ignore-scripts', '--json', '--pack-destination', home);
  packed = (JSON.parse(stdout) as Packed[])[0]!;
  tarball = join(home, packed.filename);
  console.log(
    `${packed.filename}: ${kilobytes(packed.size)} packed, ${kilobytes(packed.unpackedSize)} unpacked`,
  );
}, 3 * MINUTE);

afterAll(() => rm(home, { recursive: true, force: true }));

test('the package holds what is built and what is to be read, nothing else', async () => {
  const paths = packed.files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'dist/bundle.js',
      'dist/core.cjs',
      'dist/index.js',
      'dist/index.cjs',
      'dist/index.d.ts',
      'dist/index.d.cts',
    ]),
  );
  expect(
    paths.filter((path) => !/^(dist\/|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(path)),
  ).toEqual([]);
  for (const name of await readdir(join(source, 'dist'))) {
    if (!/\.c?js$/.test(name)) continue;
    expect(await readFile(join(source, 'dist', name), 'utf8'), name).not.toMatch(
      /vitest|fault-proxy|fake-server|node_modules\/pg\//,
    );
  }
});

test('attw finds every way of importing it typed', { timeout: 2 * MINUTE }, async () => {
  const { stdout } = await run(bin('attw'), [tarball, '--format', 'json'], { cwd: home, maxBuffer: 1e8 });
  const { problems } = JSON.parse(stdout) as { problems?: Record<string, unknown> };
  expect(problems ?? {}).toEqual({});
});

test('publint has nothing to say', { timeout: 2 * MINUTE }, async () => {
  const { stdout } = await run(bin('publint'), ['run', source, '--strict', '--pack', 'false'], {
    cwd: home,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  });
  expect(stdout).toContain('All good');
});

test('an ES module project imports and uses it', { timeout: 2 * MINUTE }, async () => {
  const project = await install('esm', { type: 'module' });
  await writeFile(join(project, 'index.js'), `import { AsyncConnectionPool } from 'usingpg';\n${USE}`);
  expect(await node(project, 'index.js')).toBe('[ 42 ]');
});

test('a CommonJS project requires and uses it', { timeout: 2 * MINUTE }, async () => {
  const project = await install('cjs', {});
  const body = `const { AsyncConnectionPool } = require('usingpg');\n(async () => {\n${USE}})();\n`;
  await writeFile(join(project, 'index.js'), body);
  expect(await node(project, 'index.js')).toBe('[ 42 ]');
});

test(
  'a TypeScript project compiles `await using` for Node 20 and runs it',
  { timeout: 2 * MINUTE },
  async () => {
    const project = await install('ts', { type: 'module' });
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2022', 'ESNext.Disposable'],
      module: 'NodeNext',
      strict: true,
      exactOptionalPropertyTypes: true,
      // The declarations of the package are compiled, too.
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['index.ts'] }));
    await writeFile(
      join(project, 'index.ts'),
      `import { AsyncConnectionPool, dictRow, errors } from 'usingpg';
await using pool = new AsyncConnectionPool(process.env['DSN']!, { minSize: 1, open: false });
await pool.open({ wait: true });
{
  await using conn = await pool.connection();
  await using cur = conn.cursor({ rowFactory: dictRow<{ answer: number }> });
  await cur.execute('SELECT %s::int AS answer', [42]);
  const row = await cur.fetchone();
  const answer: number | undefined = row?.answer;
  console.log(answer);
  try {
    await cur.execute('SELECT 1/0');
  } catch (error) {
    if (error instanceof errors.DivisionByZero) console.log(error.sqlstate);
  }
}
console.log(pool.getStats().poolAvailable);
`,
    );
    await run(bin('tsc'), ['-p', project], { cwd: project }).catch((error: unknown) => {
      throw new Error(`tsc: ${(error as { stdout: string }).stdout}`);
    });
    expect(await node(project, 'index.js')).toBe('42\n22012\n1');
  },
);

test('the ES module and the CommonJS module are one', { timeout: 2 * MINUTE }, async () => {
  const project = await install('both', { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `import { createRequire } from 'node:module';
import * as esm from 'usingpg';
const cjs = createRequire(import.meta.url)('usingpg');
const names = Object.keys(cjs);
console.log(names.length > 30, Object.keys(esm).length === names.length, names.every((name) => esm[name] === cjs[name]));
`,
  );
  expect(await node(project, 'index.js')).toBe('true true true');
});

test(
  'an error of one copy of the package is an instance of another copy’s class',
  { timeout: 2 * MINUTE },
  async () => {
    const project = await install('copies', { type: 'module' });
    await cp(join(project, 'node_modules/usingpg'), join(project, 'node_modules/usingpg-again'), {
      recursive: true,
    });
    await writeFile(
      join(project, 'index.js'),
      `import { AsyncConnection, errors } from 'usingpg';
import * as other from 'usingpg-again';
const conn = await AsyncConnection.connect(process.env.DSN);
const error = await conn.execute('SELECT 1/0').catch((e) => e);
await conn.close();
console.log(
  errors.DivisionByZero !== other.errors.DivisionByZero,
  error instanceof errors.DivisionByZero,
  error instanceof other.errors.DivisionByZero,
  error instanceof other.errors.DataError,
  error instanceof other.errors.Error,
  error instanceof other.errors.IntegrityError,
);
`,
    );
    expect(await node(project, 'index.js')).toBe('true true true true true false');
  },
);

/** Commands to put a file's name behind: `RUNTIMES='npx -y bun, npx -y deno run -A'` adds two. */
const runtimes = [
  process.execPath,
  // As in Bun, require() is given the ES module of postgres.js.
  ...(process.features.require_module ? [`${process.execPath} --conditions=bun`] : []),
  ...(process.env['RUNTIMES'] ?? '').split(',').map((command) => command.trim()),
].filter((command) => command !== '');

test.each(runtimes)('%s runs it, and all that it is used for', { timeout: 4 * MINUTE }, async (command) => {
  const name = `runtime-${String(runtimes.indexOf(command))}`;
  const project = await install(name, { type: 'module' });
  await copyFile(join(root, 'test/package/in-short.mjs'), join(project, 'in-short.mjs'));
  const [program, ...args] = command.split(' ');
  const { stdout } = await run(program!, [...args, 'in-short.mjs'], {
    cwd: project,
    env: environment(),
    timeout: 2 * MINUTE,
    shell: process.platform === 'win32',
  });
  expect(stdout.trim().split('\n').at(-1)).toBe('a lost connection');
});

test('what a connection needs is loaded with the first one', { timeout: 2 * MINUTE }, async () => {
  const project = await install('loading', { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `import { createRequire } from 'node:module';
import { AsyncConnection } from 'usingpg';
const { cache } = createRequire(import.meta.url);
const loaded = () =>
  ['crypto', 'net', 'postgres', 'tls'].filter((name) =>
    name === 'postgres'
      ? Object.keys(cache).some((path) => /node_modules.postgres\\W/.test(path))
      : process.moduleLoadList.includes('NativeModule ' + name),
  );
console.log(loaded().join() || 'none');
const conn = await AsyncConnection.connect(process.env.DSN);
console.log(loaded().join());
await conn.close();
`,
  );
  expect(await node(project, 'index.js')).toBe('none\ncrypto,net,postgres,tls');
});

test('classes have the names that they are exported by', { timeout: 2 * MINUTE }, async () => {
  const project = await install('classes', { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `import * as usingpg from 'usingpg';
const isClass = (value) => typeof value === 'function' && /^class\\b/.test(String(value));
const classes = [...Object.entries(usingpg), ...Object.entries(usingpg.errors)].filter(([, value]) => isClass(value));
const others = classes.filter(([name, value]) => value.name !== name);
console.log(classes.length > 50, others.map(([name]) => name).join());
console.log(usingpg.errors.Error.name, Object.getPrototypeOf(usingpg.errors.DatabaseError).name);
console.log([usingpg.sql\`\`, usingpg.adapters, new usingpg.Range(1, 2)].map((value) => value.constructor.name).join());
`,
  );
  expect(await node(project, 'index.js')).toBe('true \nError Error\nTemplate,AdaptersMap,Range');
});

/** A program that a bundler makes one file of. */
const BUNDLED = `import { AsyncConnection, AsyncConnectionPool, errors, sql } from 'usingpg';
import * as viaRequire from './required.cjs';
const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1 });
const { rows } = await pool.execute(sql\`SELECT \${42}::int\`);
const error = await pool.execute('SELECT 1/0').catch((reason) => reason);
await pool.close();
console.log(rows[0][0], error instanceof errors.DivisionByZero, viaRequire.AsyncConnection === AsyncConnection);
`;

test.each([
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
] as const)(
  'a bundle that esbuild makes in the format %s runs by itself',
  { timeout: 2 * MINUTE },
  async (format, ext) => {
    const project = await install(`bundled-${format}`, { type: 'module' });
    const body =
      format === 'cjs' ? `${BUNDLED.replace(/\n(?=const pool)/, '\n(async () => {')}})();` : BUNDLED;
    await writeFile(join(project, 'app.js'), body);
    await writeFile(
      join(project, 'required.cjs'),
      "exports.AsyncConnection = require('usingpg').AsyncConnection;\n",
    );
    const bundle = join(home, `bundled-${format}.${ext}`);
    const { errors, warnings } = await build({
      entryPoints: [join(project, 'app.js')],
      bundle: true,
      platform: 'node',
      format,
      outfile: bundle,
      logLevel: 'silent',
    });
    expect([...errors, ...warnings]).toEqual([]);
    // Nothing of the project is to be found from there.
    expect(await node(home, bundle)).toBe('42 true true');
  },
);

test('stack traces show names, and the line of an error is short', { timeout: 2 * MINUTE }, async () => {
  const project = await install('names', { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `import { AsyncConnection } from 'usingpg';
const conn = await AsyncConnection.connect(process.env.DSN);
const { stack } = await conn.cursor().fetchone().catch((error) => error);
const { stack: settings } = await conn.setAutocommit('yes').catch((error) => error);
await conn.close();
for (const [, name] of (stack + settings).matchAll(/at (\\S+) \\(\\S+usingpg/g)) console.log(name);
`,
  );
  expect((await node(project, 'index.js')).split('\n')).toEqual(
    expect.arrayContaining([
      'notFetchable',
      'Results.one',
      'AsyncCursor.fetchone',
      'checkSetting',
      'AsyncConnection.setAutocommit',
    ]),
  );
  const code = await readFile(join(source, 'dist/core.cjs'), 'utf8');
  expect(Math.max(...code.split('\n').map((line) => line.length))).toBeLessThan(10_000);
});

test.each([
  ['esm', "import * as usingpg from 'usingpg';\nimport * as failing from './calls.mjs';"],
  ['cjs', "const usingpg = require('usingpg');\nconst failing = require('./calls.cjs');"],
] as const)(
  'the stack of each error leads to the call, required as %s',
  { timeout: 3 * MINUTE },
  async (format, imports) => {
    const project = await install(`stacks-${format}`, {});
    const extension = format === 'esm' ? 'mjs' : 'cjs';
    await build({
      entryPoints: [join(root, 'test/errors/calls-that-fail.ts')],
      format,
      target: 'node20',
      outfile: join(project, `calls.${extension}`),
      logLevel: 'silent',
    });
    await writeFile(
      join(project, `index.${extension}`),
      `${imports}
process.on('warning', () => undefined);
const { calls, failureOf, leadsTo } = failing;
(async () => {
  let made = 0;
  for (const [kind, call] of Object.entries(calls)) {
    const { stack } = await failureOf(usingpg, process.env.DSN, call);
    if (!leadsTo(call.name, stack)) console.log(kind, stack);
    made++;
  }
  console.log(made);
})();
`,
    );
    expect(await node(project, `index.${extension}`)).toBe(String(Object.keys(calls).length));
  },
);

test('the package stays small: no more than 197 kB packed, of which a third is its declarations and its text', () => {
  expect(packed.size).toBeLessThanOrEqual(197_000);
  expect(packed.unpackedSize).toBeLessThanOrEqual(668_000);
});

/** What the JavaScript projects do, in syntax that Node 20 has. */
const USE = `const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1, open: false });
await pool.open({ wait: true });
const row = await pool.withConnection(async (conn) => {
  const cur = await conn.execute('SELECT %s::int', [42]);
  return cur.fetchone();
});
await pool.close();
console.log(row);
`;

/** A project that has the package and its dependencies, and nothing else. */
async function install(name: string, manifest: object): Promise<string> {
  const project = join(home, name);
  await mkdir(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ name, private: true, ...manifest }));
  await npm(project, 'install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts');
  return project;
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, DSN: inject('dsn'), NODE_OPTIONS: '', NO_COLOR: '1', FORCE_COLOR: '0' };
}

async function node(project: string, file: string): Promise<string> {
  const env = environment();
  const { stdout } = await run(process.execPath, [file], { cwd: project, env, timeout: MINUTE });
  return stdout.trim();
}

function npm(cwd: string, ...args: readonly string[]): Promise<{ stdout: string }> {
  return run('npm', [...args], {
    cwd,
    maxBuffer: 1e8,
    timeout: 2 * MINUTE,
    shell: process.platform === 'win32',
  });
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KB`;
}
