import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { exitOf } from '../support/own-process.js';
import { npm, packed, root, run } from '../support/packed.js';
import { freePort } from '../support/server.js';
import { cacheDirectory } from './runtimes/programs.js';

const MINUTE = 60_000;
const directory = join(root, 'test/package/bundlers');
/** They are 400 MB, so whoever runs all tests at home need not have them. */
const wanted = (process.env['CI'] ?? '') !== '' || (process.env['BUNDLERS'] ?? '') !== '';
const PRINTED = '[[42,{"a":1}]]; DivisionByZero true; 2,4; 500500; true; AsyncConnectionPool';

/** [tool, what the bundle is, the program] */
const bundles = [
  ['esbuild', 'esm', 'mixed.mjs'],
  ['esbuild', 'cjs', 'mixed.mjs'],
  ['esbuild with conditions', 'esm', 'app.mjs'],
  ['esbuild for Lambda', 'esm', 'app.mjs'],
  ['tsup', 'esm', 'app.mjs'],
  ['tsup', 'cjs', 'app.mjs'],
  ['webpack', 'esm', 'mixed.mjs'],
  ['webpack', 'cjs', 'mixed.mjs'],
  ['rollup', 'esm', 'app.mjs'],
  ['rollup', 'cjs', 'app.mjs'],
  ['Vite SSR', 'esm', 'app.mjs'],
  ['Vite SSR', 'cjs', 'app.mjs'],
] as const;

describe.skipIf(!wanted)('a program', () => {
  let home: string;
  let project: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'usingpg-bundlers-'));
    project = join(home, 'project');
    // Files are linked where the cache is on the same disk.
    await run('cp', ['-r', '--reflink=auto', await installedTools(), project]);
    // Its dependencies stand below it: the tools have other versions of some.
    const { modules } = await packed();
    const place = join(project, 'node_modules/usingpg');
    await cp(join(modules, 'usingpg'), place, { recursive: true });
    for (const name of ['postgres', 'p-limit', 'yocto-queue']) {
      await cp(join(modules, name), join(place, 'node_modules', name), { recursive: true });
    }
    await cp(directory, project, { recursive: true });
    env = { ...process.env, DSN: inject('dsn'), NODE_OPTIONS: '', NODE_ENV: 'production', NO_COLOR: '1' };
    env['NEXT_TELEMETRY_DISABLED'] = '1';
    // Jest prints colours in CI unless this says otherwise, and both it and Next.js take vitest's for their own.
    for (const name of Object.keys(env).filter((name) => /^(VITEST|JEST|FORCE_COLOR)/.test(name))) {
      Reflect.deleteProperty(env, name);
    }
  }, 8 * MINUTE);

  afterAll(() => rm(home, { recursive: true, force: true }));

  test.each(bundles)(
    'bundled by %s in the format %s runs where nothing is installed',
    { timeout: 4 * MINUTE },
    async (tool, format, entry) => {
      const output = join(home, `${tool}-${format}`);
      await run(process.execPath, ['build.mjs', tool, format, entry, output], { cwd: project, env });
      const file = format === 'esm' ? 'app.mjs' : 'app.cjs';
      const { stdout } = await run(process.execPath, [file], { cwd: output, env, timeout: MINUTE });
      expect(stdout.trim()).toBe(PRINTED);
    },
  );

  test.each([
    ['CommonJS', 'commonjs.test.cjs', 'node'],
    ['ES modules', 'module.test.mjs', 'node'],
    ['CommonJS in jsdom', 'commonjs.test.cjs', 'jsdom'],
  ])('tested by Jest, %s', { timeout: 4 * MINUTE }, async (_, file, environment) => {
    const args = [
      ...(file.endsWith('.mjs') ? ['--experimental-vm-modules', '--no-warnings'] : []),
      'node_modules/jest/bin/jest.js',
      '--ci',
      `--env=${environment}`,
      '--testMatch',
      `**/jest/${file}`,
      '--json',
      '--config={}',
    ];
    const { stdout } = await run(process.execPath, args, { cwd: project, env, timeout: 2 * MINUTE }).catch(
      (error: unknown) => error as { stdout: string },
    );
    const { numPassedTests, testResults } = JSON.parse(stdout) as {
      numPassedTests: number;
      testResults: { message: string }[];
    };
    expect(testResults.map(({ message }) => message)).toEqual(['']);
    expect(numPassedTests).toBe(1);
  });

  test(
    'in a route of Next.js, built standalone, runs where nothing is installed',
    { timeout: 8 * MINUTE },
    async () => {
      const next = join(project, 'next');
      await cp(join(project, 'program.mjs'), join(next, 'program.mjs'));
      // Next.js follows no link out of its project.
      await rename(join(project, 'node_modules'), join(next, 'node_modules'));
      await run(process.execPath, ['node_modules/next/dist/bin/next', 'build'], { cwd: next, env });
      const output = join(home, 'standalone');
      await rename(join(next, '.next/standalone'), output);
      const port = String(await freePort());
      const server = spawn(process.execPath, ['server.js'], {
        cwd: output,
        env: { ...env, PORT: port, HOSTNAME: '127.0.0.1' },
        stdio: 'ignore',
      });
      try {
        const url = `http://127.0.0.1:${port}/query`;
        await expect
          .poll(() => fetch(url).then((answer) => answer.text()), { timeout: MINUTE, interval: 200 })
          .toBe(PRINTED);
      } finally {
        await exitOf(server, 'SIGKILL');
      }
    },
  );
});

/** The directory of the tools, installed as their lock file says unless that has been done before. */
async function installedTools(): Promise<string> {
  const lock = await readFile(join(directory, 'package-lock.json'));
  const place = cacheDirectory(`bundlers-${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`);
  if (!existsSync(place)) {
    const unfinished = `${place}.${String(process.pid)}`;
    await mkdir(unfinished, { recursive: true });
    for (const name of ['package.json', 'package-lock.json'])
      await cp(join(directory, name), join(unfinished, name));
    // Not `ci`, which refuses a lock file that lacks an optional package for another system.
    await npm(unfinished, 'install', '--no-save', '--no-audit', '--no-fund');
    await rename(unfinished, place);
  }
  return place;
}
