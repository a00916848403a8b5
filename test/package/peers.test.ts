import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { npm, packed, root, run } from '../support/packed.js';
import { programOf, runtimes } from './runtimes/programs.js';

const MINUTE = 60_000;

/** Both ends of the range of each peer, and the oldest Node that the version is for. */
const VERSIONS = [
  { peer: 'kysely', version: '0.28.0', node: 'Node 20', env: {} },
  { peer: 'kysely', version: '0.29.9', node: 'Node 22', env: { ABORTS: 'yes' } },
  { peer: 'drizzle-orm', version: '0.44.5', node: 'Node 20', env: {} },
  { peer: 'drizzle-orm', version: '0.45.4', node: 'Node 20', env: {} },
] as const;

/** They install the peers from npm, so they run in CI, and where they are asked for. */
const isAsked = (process.env['CI'] ?? process.env['PEERS'] ?? '') !== '';

let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'usingpg-peers-'));
});

afterAll(() => rm(home, { recursive: true, force: true }));

test('the range of each peer begins with the oldest version that is tested, and ends with the newest', async () => {
  const { peerDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  for (const peer of new Set(VERSIONS.map((each) => each.peer))) {
    const [oldest, newest] = VERSIONS.filter((each) => each.peer === peer);
    const minor = Number(newest!.version.split('.')[1]);
    expect(peerDependencies[peer]).toBe(`>=${oldest!.version} <0.${String(minor + 1)}.0`);
  }
});

describe.skipIf(!isAsked).each(VERSIONS)('$peer $version', ({ peer, version, node, env }) => {
  const runtime = runtimes.find(({ name }) => name === node)!;
  let project: string;

  beforeAll(async () => {
    project = join(home, `${peer}-${version}`);
    await mkdir(project);
    const { tarball } = await packed();
    const dependencies = { usingpg: `file:${tarball}`, [peer]: version };
    await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, dependencies }));
    await npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts');
    const program = await readFile(join(root, `test/package/peers/${peer}.mjs`), 'utf8');
    await writeFile(join(project, 'program.mjs'), program);
    const required = program.replaceAll(/^import (.*) from (.*);$/gm, 'const $1 = require($2);');
    await writeFile(join(project, 'program.cjs'), required.replaceAll(/(?<=^const \{.*)\bas\b/gm, ':'));
  }, 4 * MINUTE);

  test.each(['program.cjs', 'program.mjs'])(
    `does its work in %s, on ${node}`,
    { timeout: 3 * MINUTE },
    async (file) => {
      const [command, ...args] = await programOf(runtime);
      const { stdout } = await run(command!, [...args, file], {
        cwd: project,
        env: { ...process.env, ...env, DSN: inject('dsn'), NODE_OPTIONS: '' },
        timeout: 2 * MINUTE,
      });
      expect(stdout.trim().split('\n').at(-1)).toBe('done');
    },
  );
});
