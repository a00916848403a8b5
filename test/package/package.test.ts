import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import ts from 'typescript';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { calls } from '../errors/calls-that-fail.js';
import { bin, install as installed, npm, packed as pack, root, run, type Packed } from '../support/packed.js';
import { integrations } from '../../tools/integrations.js';

const MINUTE = 60_000;

/** The files of a subpath export, behind its name. */
const MODULE_FILES = ['.js', '.js.map', '.cjs', '.cjs.map', '.d.ts', '.d.cts'];

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly typesVersions: Readonly<Record<string, unknown>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { optional?: boolean }>>;
}

interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent: readonly (string | null)[];
}

/** The names of the subpath exports. */
const subpaths = Object.keys(integrations());

let home: string;
let packed: Packed;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'usingpg-package-'));
  packed = await pack();
  console.log(`${kilobytes(packed.size)} packed, ${kilobytes(packed.unpackedSize)} unpacked`);
}, 4 * MINUTE);

afterAll(() => rm(home, { recursive: true, force: true }));

test('the package holds what is built, its source, and what is to be read, nothing else', async () => {
  const paths = packed.files.map(({ path }) => path);
  expect(paths.filter((path) => !path.startsWith('src/')).sort()).toEqual(
    [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist/errors.d.cts',
      'dist/index.cjs',
      'dist/index.cjs.LICENSE.txt',
      'dist/index.cjs.map',
      'dist/index.d.cts',
      'dist/index.d.ts',
      'dist/index.js',
      'dist/index.js.map',
      'dist/load-connect-bundled.js',
      'dist/load-connect.js',
      'dist/packages-bundled.js',
      'dist/packages.js',
      ...['connect', 'shared'].flatMap((name) =>
        ['.cjs', '.cjs.map', '.js', '.js.map'].map((end) => `dist/${name}${end}`),
      ),
      'package.json',
      ...subpaths.flatMap((name) => MODULE_FILES.map((end) => `dist/${name}${end}`)),
    ].sort(),
  );
  for (const name of await readdir(join(packed.source, 'dist'))) {
    if (!/\.c?js$/.test(name)) continue;
    expect(await readFile(join(packed.source, 'dist', name), 'utf8'), name).not.toMatch(
      /vitest|fault-proxy|fake-server|node_modules\/pg\//,
    );
  }
});

test('each integration is a subpath export with declarations for each format, and the main entry needs no peer', async () => {
  const manifest = await manifestOfPackage();
  expect(manifest.exports).toEqual({
    '.': expect.anything(),
    ...Object.fromEntries(
      subpaths.map((name) => [
        `./${name}`,
        {
          import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
          require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
        },
      ]),
    ),
    './package.json': './package.json',
  });
  // TypeScript's resolution of before Node 12, which does not read `exports`, and is the default for CommonJS until TypeScript 6.
  expect(manifest.typesVersions).toEqual({
    '*': Object.fromEntries(subpaths.map((name) => [name, [`./dist/${name}.d.cts`]])),
  });
  const peers = Object.keys(manifest.peerDependencies);
  for (const peer of peers) expect(manifest.peerDependenciesMeta[peer], peer).toEqual({ optional: true });
  const isPeer = (name: string): boolean =>
    peers.some((peer) => name === peer || name.startsWith(`${peer}/`)) || name === 'usingpg';
  for (const name of subpaths) {
    for (const file of [`${name}.js`, `${name}.cjs`]) {
      const imported = modulesOf(await readFile(built(file), 'utf8'));
      expect(imported, file).toContain('usingpg');
      expect(
        imported.filter((module) => !isPeer(module)),
        file,
      ).toEqual([]);
      // A copy of what has a state, or of classes of errors, would not be that of the main entry.
      const { sources } = JSON.parse(await readFile(built(`${file}.map`), 'utf8')) as SourceMap;
      expect(
        sources.filter(
          (source) =>
            !/\/src\/(?:integrations\/|options\/(?:call-options|kinds)\.|queues\.|sql-)/.test(source),
        ),
        file,
      ).toEqual([]);
    }
  }
});

test('attw finds every way of importing it typed', { timeout: 2 * MINUTE }, async () => {
  const { stdout } = await run(bin('attw'), [packed.tarball, '--format', 'json'], {
    cwd: home,
    maxBuffer: 1e8,
  });
  const { problems } = JSON.parse(stdout) as { problems?: Record<string, unknown> };
  expect(problems ?? {}).toEqual({});
});

test('publint has nothing to say', { timeout: 2 * MINUTE }, async () => {
  const { stdout } = await run(bin('publint'), ['run', packed.source, '--strict', '--pack', 'false'], {
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
      // The package's declarations are compiled, too.
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

/** The beginning of a program that gets a module in two ways, as `one` and `other`; `names` are its exports. */
function oneAndOther(first: string, second: string): string {
  return `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const one = ${first};
const other = ${second};
const names = Object.keys(one).filter((name) => name !== 'module.exports');
`;
}

test.each([
  ["await import('usingpg')", "require('usingpg')"],
  ["require('usingpg')", "await import('usingpg')"],
])('what %s gives is what %s gives', { timeout: 2 * MINUTE }, async (first, second) => {
  const project = await install(`both-${first.slice(0, 5)}`, { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `${oneAndOther(first, second)}console.log(names.length > 30, Object.keys(other).length === Object.keys(one).length, names.every((name) => one[name] === other[name]));
one.adapters.registerLoader('json', (text) => 'loaded: ' + text);
const conn = await other.AsyncConnection.connect(process.env.DSN);
const cur = await conn.execute("SELECT json '1', %s::jsonb, %s::int4range", [new one.Jsonb(2), new one.Range(3, 4)]);
console.log(JSON.stringify(await cur.fetchone()));
const error = await conn.execute('SELECT 1/0').catch((e) => e);
console.log(error instanceof one.errors.DivisionByZero, conn instanceof one.AsyncConnection);
await conn.close();
`,
  );
  expect((await node(project, 'index.js')).split('\n')).toEqual([
    'true true true',
    '["loaded: 1",2,{"lower":3,"upper":4,"bounds":"[)"}]',
    'true true',
  ]);
});

/** What the programs say of a module `pg`: whether it is usingpg's, and a row that it fetched. */
const TELL = `const tell = async ({ Pool, types }) => {
  const pool = new Pool({ connectionString: process.env.DSN, max: 1 });
  const { rows } = await pool.query("SELECT int8 '42' AS answer");
  await pool.end();
  console.log(types === usingpg.types && Pool === usingpg.Pool, JSON.stringify(rows));
};`;

/** The ways by which ES modules and CommonJS modules get `pg`. */
const ASKING: readonly (readonly [file: string, code: string])[] = [
  ['required.cjs', `const usingpg = require('usingpg/pg');\n${TELL}\ntell(require('pg'));`],
  ['default.mjs', `import usingpg from 'usingpg/pg';\nimport pg from 'pg';\n${TELL}\nawait tell(pg);`],
  [
    'named.mjs',
    `import * as usingpg from 'usingpg/pg';\nimport { Pool, types } from 'pg';\n${TELL}\nawait tell({ Pool, types });`,
  ],
];

test(
  'the shim of the page on pg gives usingpg/pg to a project and its dependencies, by import and by require()',
  { timeout: 4 * MINUTE },
  async () => {
    const page = await readFile(join(root, 'docs/pg.md'), 'utf8');
    const [manifest, additions] = Array.from(page.matchAll(/^```json\n(.*?)^```$/gms), ([, text]) => text!);
    const [, module] = /^```js\n(.*?)^```$/ms.exec(page)!;
    const library = join(home, 'some-library');
    await mkdir(library);
    await writeFile(
      join(library, 'package.json'),
      JSON.stringify({ name: 'some-library', version: '1.0.0', dependencies: { pg: '^7.0.0' } }),
    );
    await writeFile(join(library, 'index.js'), "exports.pg = require('pg');");
    const { stdout } = await npm(library, 'pack', '--silent');
    const { dependencies, ...others } = JSON.parse(additions!) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const project = await install('pg-shim', {
      dependencies: {
        ...dependencies,
        usingpg: `file:${packed.tarball}`,
        'some-library': `file:${join(library, stdout.trim())}`,
      },
      ...others,
    });
    await mkdir(join(project, 'shims/pg'), { recursive: true });
    await writeFile(join(project, 'shims/pg/package.json'), manifest!);
    await writeFile(join(project, 'shims/pg/index.cjs'), module!);
    await npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts');
    const programs = [
      ...ASKING,
      [
        'library.mjs',
        `import usingpg from 'usingpg/pg';\nimport { pg } from 'some-library';\n${TELL}\nawait tell(pg);`,
      ],
    ] as const;
    for (const [file, code] of programs) {
      await writeFile(join(project, file), code);
      expect(await node(project, file), file).toBe('true [{"answer":"42"}]');
    }
  },
);

test(
  'an alias of esbuild gives usingpg/pg to what imports or requires pg',
  { timeout: 2 * MINUTE },
  async () => {
    const page = await readFile(join(root, 'docs/pg.md'), 'utf8');
    const [, from, to] = /`alias: \{ (\w+): '([^']+)' \}`/.exec(page)!;
    const project = await install('pg-alias', {});
    for (const [file, code] of ASKING) {
      await writeFile(join(project, file), code);
      const bundle = file.replace('.', '.bundle.');
      await build({
        absWorkingDir: project,
        entryPoints: [file],
        outfile: join(project, bundle),
        bundle: true,
        platform: 'node',
        format: file.endsWith('.cjs') ? 'cjs' : 'esm',
        alias: { [from!]: to! },
      });
      expect(await node(project, bundle), file).toBe('true [{"answer":"42"}]');
    }
  },
);

test.each([
  ["await import('usingpg/pg')", "require('usingpg/pg')"],
  ["require('usingpg/pg')", "await import('usingpg/pg')"],
])('the types and defaults of %s are those of %s', { timeout: 2 * MINUTE }, async (first, second) => {
  const project = await install(`pg-both-${first.slice(0, 5)}`, { type: 'module' });
  await writeFile(
    join(project, 'index.js'),
    `${oneAndOther(first, second)}console.log(names.length > 10, names.every((name) => one[name] === other[name]), one.default.Pool === other.Pool);
one.types.setTypeParser(20, Number);
const pool = new other.Pool({ connectionString: process.env.DSN, max: 1 });
console.log(JSON.stringify((await pool.query("SELECT int8 '42' AS answer")).rows), one.Pool.name);
await pool.end();
`,
  );
  expect((await node(project, 'index.js')).split('\n')).toEqual(['true true true', '[{"answer":42}] Pool']);
});

test.each([
  ["await import('usingpg/kysely')", "require('usingpg')"],
  ["require('usingpg/kysely')", "await import('usingpg')"],
])('what %s uses is what %s gives', { timeout: 2 * MINUTE }, async (subpath, main) => {
  const project = await install(`subpath-${subpath.slice(0, 5)}`, { type: 'module' });
  await addPeer(project, 'kysely');
  await writeFile(
    join(project, 'index.js'),
    `import { createRequire } from 'node:module';
import { Kysely, sql } from 'kysely';
const require = createRequire(import.meta.url);
const { UsingpgDialect } = ${subpath};
const { AsyncConnectionPool, errors } = ${main};
const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1 });
const db = new Kysely({ dialect: new UsingpgDialect({ pool }) });
const { rows } = await sql\`SELECT \${42}::int AS answer\`.execute(db);
const error = await sql\`SELECT 1/0\`.execute(db).catch((e) => e);
console.log(JSON.stringify(rows), error instanceof errors.DivisionByZero);
await db.destroy();
await pool.close();
`,
  );
  expect(await node(project, 'index.js')).toBe('[{"answer":42}] true');
});

test.each([
  ['node16, of an ES module', { module: 'Node16' }, 'module'],
  ['node16, of a CommonJS module', { module: 'Node16' }, 'commonjs'],
  ['bundler', { module: 'ESNext', moduleResolution: 'Bundler' }, 'module'],
  ['node10', { module: 'CommonJS', moduleResolution: 'node10' }, 'commonjs'],
])(
  'a subpath export has its types, and those of its peer, in the resolution %s',
  { timeout: 2 * MINUTE },
  async (_, compilerOptions, type) => {
    const project = await install(`types-${type}-${compilerOptions.module}`, { type });
    await addPeer(project, 'kysely');
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...compilerOptions,
          target: 'ES2022',
          lib: ['ES2022', 'ESNext.Disposable'],
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          types: ['node'],
          typeRoots: [join(root, 'node_modules/@types')],
        },
        files: ['index.ts'],
      }),
    );
    await writeFile(
      join(project, 'index.ts'),
      `import { Kysely } from 'kysely';
import { AsyncConnectionPool, dictRow } from 'usingpg';
import { UsingpgDialect } from 'usingpg/kysely';
const pool = new AsyncConnectionPool('', { open: false, connectOptions: { rowFactory: dictRow } });
export const db = new Kysely<{ city: { id: number } }>({ dialect: new UsingpgDialect({ pool }) });
// @ts-expect-error It is neither a pool nor a conninfo.
export const wrong = new UsingpgDialect({ poll: pool });
`,
    );
    await run(bin('tsc'), ['-p', project], { cwd: project }).catch((error: unknown) => {
      throw new Error(`tsc: ${(error as { stdout: string }).stdout}`);
    });
  },
);

test('each format is a module of its own: the ES module loads no CommonJS of the package', async () => {
  const [esm, ...cjs] = await Promise.all(
    ['index.js', 'index.cjs', 'connect.cjs', 'shared.cjs'].map((name) => readFile(built(name), 'utf8')),
  );
  expect(importsOf(esm!)).toEqual(['#connect', '#packages', './shared.js']);
  expect(esm).not.toMatch(/\brequire\(/);
  expect(importsOf(await readFile(built('packages-bundled.js'), 'utf8'))).toEqual(['p-limit', 'postgres']);
  expect(importsOf(await readFile(built('load-connect-bundled.js'), 'utf8'))).toEqual(['./connect.js']);
  // p-limit is published as an ES module, which require() can't load on every Node 20.
  expect(modulesOf(cjs.join('\n'))).toEqual(['./connect.cjs', './shared.cjs', 'postgres']);
  const licenses = await readFile(built('index.cjs.LICENSE.txt'), 'utf8');
  expect(licenses).toMatch(/^p-limit 7\.3\.3\n\nMIT License\n[^]+\n---\n\nyocto-queue 1\.[^]+MIT License\n/);
});

test('it depends on two packages, each in one version', async () => {
  const manifest = await manifestOfPackage();
  expect(Object.keys(manifest.dependencies)).toEqual(['p-limit', 'postgres']);
  for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(Object.keys(manifest.scripts)).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/install$/)]),
  );
});

test('the code can be read: it is not minified, and its source maps lead to files of the package', async () => {
  const paths = new Set(packed.files.map(({ path }) => path));
  for (const name of ['index', 'connect', 'shared', ...subpaths].flatMap((module) => [
    `${module}.js`,
    `${module}.cjs`,
  ])) {
    const code = await readFile(built(name), 'utf8');
    expect(Math.max(...code.split('\n').map((line) => line.length)), name).toBeLessThan(2000);
    expect(code).toContain(`//# sourceMappingURL=${name}.map`);
    const { sources, sourcesContent } = JSON.parse(await readFile(built(`${name}.map`), 'utf8')) as SourceMap;
    expect(
      sources.some((source) => paths.has(source.replace('../', ''))),
      name,
    ).toBe(true);
    for (const [i, source] of sources.entries()) {
      if (!paths.has(source.replace('../', ''))) expect(sourcesContent[i], source).toBeTruthy();
    }
  }
});

test.each([
  ['the ES module', 'index.mjs', "import { AsyncConnection } from 'usingpg';"],
  ['the CommonJS module', 'index.cjs', "const { AsyncConnection } = require('usingpg');"],
])(
  'with --enable-source-maps, a stack of %s names lines of src',
  { timeout: 2 * MINUTE },
  async (_, file, load) => {
    const project = await install(`maps-${file}`, {});
    await writeFile(
      join(project, file),
      `${load}
AsyncConnection.connect(process.env.DSN).then(async (conn) => {
  const error = await conn.setAutocommit('yes').catch((error) => error);
  console.log(error.stack);
  await conn.close();
});
`,
    );
    const stack = await node(project, '--enable-source-maps', file);
    const [, path, line] = /\((\S+\/usingpg\/src\/connection\/\S+\.ts):(\d+):\d+\)/.exec(stack)!;
    expect((await readFile(path!, 'utf8')).split('\n')[Number(line) - 1]).toContain(
      'new errors.ProgrammingError',
    );
  },
);

test(
  'an error of one version of the package is an instance of another version’s class',
  { timeout: 2 * MINUTE },
  async () => {
    const project = await install('copies', { type: 'module' });
    // Two versions, that is: copies of one version are one.
    const again = join(project, 'node_modules/usingpg-again');
    await cp(join(project, 'node_modules/usingpg'), again, { recursive: true });
    const code = await readFile(join(again, 'dist/index.js'), 'utf8');
    await writeFile(
      join(again, 'dist/index.js'),
      code.replace(/Symbol\.for\("usingpg \d[^"]*"\)/, 'Symbol.for("usingpg 0")'),
    );
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

test.each([
  ['import', "const load = () => import('usingpg');"],
  ['require()', "const load = async () => createRequire(import.meta.url)('usingpg');"],
])(
  'what a connection needs is loaded with the first one, after %s',
  { timeout: 2 * MINUTE },
  async (_, load) => {
    const project = await install(`loading-${load.length}`, { type: 'module' });
    await rename(join(project, 'node_modules/postgres'), join(project, 'postgres'));
    await writeFile(
      join(project, 'index.js'),
      `import { renameSync } from 'node:fs';
import { createRequire } from 'node:module';
${load}
const loaded = () =>
  ['crypto', 'dns', 'net', 'os', 'tls'].filter((name) => process.moduleLoadList.includes('NativeModule ' + name));
const { AsyncConnection, AsyncConnectionPool } = await load();
new AsyncConnectionPool(process.env.DSN, { open: false });
console.log(loaded().join() || 'none');
renameSync('postgres', 'node_modules/postgres');
const conn = await AsyncConnection.connect(process.env.DSN);
console.log(loaded().join());
await conn.close();
`,
    );
    expect(await node(project, 'index.js')).toMatch(/^none\n.*net/);
  },
);

test(
  'it connects where process.getBuiltinModule() does not exist, as before Node 20.16',
  { timeout: 2 * MINUTE },
  async () => {
    const project = await install('old-node', {});
    await writeFile(
      join(project, 'index.cjs'),
      `delete process.getBuiltinModule;\nconst { AsyncConnectionPool } = require('usingpg');\n(async () => {\n${USE}})();\n`,
    );
    expect(await node(project, 'index.cjs')).toBe('[ 42 ]');
  },
);

test('classes have the names of their exports', { timeout: 2 * MINUTE }, async () => {
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

test('modules that are loaded anew before the first connection, as Jest does between tests, change nothing', async () => {
  const project = await install('anew', { type: 'commonjs' });
  await writeFile(
    join(project, 'index.js'),
    `const { AsyncConnection, Json, errors } = require('usingpg');
for (const path of Object.keys(require.cache)) delete require.cache[path];
(async () => {
  const conn = await AsyncConnection.connect(process.env.DSN);
  const rows = await (await conn.execute('SELECT %s::jsonb', [new Json({ a: 1 })])).fetchall();
  const error = await conn.execute('SELECT 1/0').catch((error) => error);
  await conn.close();
  console.log(JSON.stringify(rows), error instanceof errors.DivisionByZero, error instanceof errors.Error);
  console.log(error.stack.split('\\n')[0], /at async \\S+index\\.js/.test(error.stack));
})();
`,
  );
  expect((await node(project, 'index.js')).split('\n')).toEqual([
    '[[{"a":1}]] true true',
    'DivisionByZero: division by zero true',
  ]);
});

test('stack traces show the names of classes and methods', { timeout: 2 * MINUTE }, async () => {
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
});

test.each([
  ['an ES module', 'module', "import * as usingpg from 'usingpg';\nimport * as failing from './calls.js';"],
  [
    'a CommonJS module',
    'commonjs',
    "const usingpg = require('usingpg');\nconst failing = require('./calls.js');",
  ],
])(
  'the stack of each error leads to the call in %s',
  { timeout: 3 * MINUTE },
  async (_kind, type, imports) => {
    const project = await install(`stacks-${type}`, { type });
    const source = await readFile(join(root, 'test/errors/calls-that-fail.ts'), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: type === 'module' ? ts.ModuleKind.ES2022 : ts.ModuleKind.CommonJS,
      },
    });
    await writeFile(join(project, 'calls.js'), outputText);
    await writeFile(
      join(project, 'index.js'),
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
    expect(await node(project, 'index.js')).toBe(String(Object.keys(calls).length));
  },
);

test.each([
  ['an ES module', 'module', "await import('usingpg')"],
  ['a CommonJS module', 'commonjs', "require('usingpg')"],
])('%s that imports it on a Node below 20 is told so', { timeout: 2 * MINUTE }, async (_kind, type, load) => {
  const project = await install(`old-node-${type}`, { type });
  await writeFile(
    join(project, 'index.js'),
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });
${load};
`,
  );
  await expect(node(project, 'index.js')).rejects.toThrow(
    'Error: usingpg needs Node.js 20 or later, and this is Node.js 18.20.8',
  );
});

// Measured, packed: the code 160 kB in each of two formats, as it can be read; its source maps 115 kB each; the source that they lead
// to 315 kB; declarations and text 70 kB. A bundle takes 640 kB of it, or 330 kB minified. The five subpath exports take 190 kB packed, each
// with code, source maps and source of its own: none is in a bundle that does not import it.
test('the package stays within 1,320 kB packed, of which two thirds are there for those who read and debug it', async () => {
  expect(packed.size).toBeLessThanOrEqual(1_320_000);
  // docs/why/performance.md tells the sizes: they may be a little behind.
  const page = await readFile(join(root, 'docs/why/performance.md'), 'utf8');
  for (const [row, bytes] of [
    ['packed', packed.size],
    ['unpacked', packed.unpackedSize],
  ] as const) {
    const [, told] = new RegExp(`^\\| ${row}, kB +\\| +(\\d+) `, 'm').exec(page)!;
    expect(Math.abs(Number(told) * 1000 - bytes) / bytes, row).toBeLessThan(0.05);
  }
  expect(packed.unpackedSize).toBeLessThanOrEqual(5_150_000);
});

/** The program of the JavaScript projects, in the syntax of Node 20. */
const USE = `const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1, open: false });
await pool.open({ wait: true });
const row = await pool.withConnection(async (conn) => {
  const cur = await conn.execute('SELECT %s::int', [42]);
  return cur.fetchone();
});
await pool.close();
console.log(row);
`;

function install(name: string, manifest: object): Promise<string> {
  return installed(home, name, manifest);
}

/** Has a project use a peer that is installed for the tests. */
async function addPeer(project: string, name: string): Promise<void> {
  await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name), 'dir');
}

function built(name: string): string {
  return join(packed.source, 'dist', name);
}

async function manifestOfPackage(): Promise<Manifest> {
  return JSON.parse(await readFile(join(packed.source, 'package.json'), 'utf8')) as Manifest;
}

/** What is not Node's own of what a module imports. */
function importsOf(code: string): string[] {
  const names = Array.from(code.matchAll(/(?<=^|; )import\b[^;]*?["']([^"']+)["'];/gm), ([, name]) => name!);
  return [...new Set(names)].filter((name) => !name.startsWith('node:')).sort();
}

/** What is not Node's own of what a module of either format imports or requires. */
function modulesOf(code: string): string[] {
  const required = Array.from(code.matchAll(/\brequire\(["']([^"']+)["']\)/g), ([, name]) => name!);
  return [...new Set([...importsOf(code), ...required])].filter((name) => !name.startsWith('node:')).sort();
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, DSN: inject('dsn'), NODE_OPTIONS: '', NO_COLOR: '1', FORCE_COLOR: '0' };
}

async function node(project: string, ...args: readonly string[]): Promise<string> {
  const env = environment();
  const { stdout } = await run(process.execPath, args, { cwd: project, env, timeout: MINUTE });
  return stdout.trim();
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KB`;
}
