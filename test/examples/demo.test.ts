import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, onTestFinished, test } from 'vitest';

const LIMIT = 180_000;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The demo in a process group of its own, as a shell runs it, with a directory of its own for temporary files. */
async function demo(examples: readonly string[], databaseUrl: string) {
  const directory = await mkdtemp(join(tmpdir(), 'usingpg-demo-'));
  await chmod(directory, 0o755);
  const child = spawn('npm', ['run', 'demo', '--', ...examples], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, DATABASE_URL: databaseUrl, TMPDIR: directory, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const group = -child.pid!;
  const run = { output: '', ended: false, code: null as number | null };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (run.output += text));
  child.once('close', (code) => Object.assign(run, { ended: true, code }));
  onTestFinished(async () => {
    if (isAlive(group)) process.kill(group, 'SIGKILL');
    await rm(directory, { recursive: true, force: true, maxRetries: 20 });
  });
  return { run, directory, group };
}

function isAlive(group: number): boolean {
  try {
    process.kill(group, 0);
    return true;
  } catch {
    return false;
  }
}

/** What the demo has made in a directory; tsx keeps what it has compiled there, for the next time. */
function made(directory: string): string[] {
  return readdirSync(directory).filter((name) => !name.startsWith('tsx-') && name !== 'node-compile-cache');
}

test(
  'the demo fits 100 columns, is silent about deprecations and ends with the times',
  { timeout: LIMIT },
  async () => {
    const { run, directory } = await demo(['01', '02', '03', '04'], inject('dsn'));
    await expect.poll(() => run.ended, { timeout: LIMIT }).toBe(true);
    expect(run.code, run.output).toBe(0);
    expect(run.output).not.toMatch(/DeprecationWarning|\[DEP\d+\]/);
    expect(run.output.split('\n').filter((line) => line.length > 100)).toEqual([]);
    const [examples, summary] = run.output.split('── Summary ──');
    expect([...examples!.matchAll(/^── (\d\d)/gm)].map(([, number]) => number)).toEqual([
      '01',
      '02',
      '03',
      '04',
    ]);
    expect(summary!.match(/^ *\d+\.\d s {2}\S/gm)).toHaveLength(5);
    expect(made(directory)).toEqual([]);
  },
);

describe('Ctrl-C leaves no file, process or directory of the demo behind', () => {
  test.each<[moment: string, examples: string[], isNow: (directory: string, output: string) => boolean]>([
    ['while its server is made', ['01'], (directory) => made(directory).length > 0],
    ['when its server is there', ['01'], (_, output) => output.includes('── 01')],
    ['within an example', ['02', '09'], (_, output) => output.includes('sales: 25 %')],
    [
      'while an example has files of its own',
      ['07'],
      (directory) =>
        made(directory).some(
          (name) => name.startsWith('usingpg-cities-') && existsSync(join(directory, name, 'cities.csv.gz')),
        ),
    ],
  ])('%s', { timeout: LIMIT }, async (_moment, examples, isNow) => {
    const { run, directory, group } = await demo(examples, '');
    await expect
      .poll(() => run.ended || isNow(directory, run.output), { timeout: LIMIT, interval: 10 })
      .toBe(true);
    expect(run.ended, run.output).toBe(false);
    process.kill(group, 'SIGINT');
    await expect.poll(() => run.ended, { timeout: LIMIT }).toBe(true);
    await expect.poll(() => isAlive(group), { timeout: LIMIT }).toBe(false);
    expect(made(directory)).toEqual([]);
    expect(run.output).not.toMatch(/failed|Error:/);
  });
});
