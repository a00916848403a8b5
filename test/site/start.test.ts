import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, onTestFinished, test } from 'vitest';
import { admin } from '../support/database.js';
import { linkPackage } from './linked-package.js';
import { root } from './samples.js';

const run = promisify(execFile);
const page = (path: string): Promise<string> => readFile(`${root}docs/${path}`, 'utf8');

/** How many times as long a peer takes for the rows, by the benchmarks. */
async function ratioTo(peer: string): Promise<number> {
  const row = new RegExp(`^\\| fetch 20000 rows × 7, tuples +\\| ${peer} +\\|[^|]*\\| +([\\d.]+)`, 'm');
  return Number(row.exec(await page('why/benchmarks.md'))![1]);
}

test.each(['start.md', 'zh/start.md'])('the three numbers of %s are those of their pages', async (path) => {
  const text = await page(path);
  expect(text).toMatch(/Less than a third of the time|不到三分之一的时间/);
  for (const peer of ['pg', 'postgres']) expect(await ratioTo(peer)).toBeGreaterThan(3);

  const promises = (await page('why/reliability.md')).match(/^\| \d+ +\|/gm)!.length;
  expect(text).toMatch(new RegExp(`\\*\\*${String(promises)} (?:promises|项承诺)`));

  const most = Number(/\*\*(\d+) MiB/.exec(text)![1]);
  const [, grown] =
    /^\| resident memory grown in a stream of 5000000 rows +\| usingpg +\| ([\d.]+) MiB/m.exec(
      await page('why/benchmarks.md'),
    )!;
  expect(Number(grown)).toBeLessThanOrEqual(most);
});

test.each(['start.md', 'zh/start.md'])(
  'the first script of %s runs as the page says',
  { timeout: 300_000 },
  async (path) => {
    const text = await page(path);
    const [script] = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
    const [, name] = /npx tsx (\S+)`/.exec(text)!;
    const folder = await mkdtemp(join(tmpdir(), 'usingpg-start-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    for (const linked of ['usingpg', 'tsx']) await linkPackage(folder, linked);
    const dbname = `script_${path.replace(/\W/g, '_')}`;
    await admin(`DROP DATABASE IF EXISTS ${dbname}`);
    await admin(`CREATE DATABASE ${dbname}`);
    onTestFinished(async () => {
      await admin(`DROP DATABASE ${dbname} WITH (FORCE)`);
    });
    const url = new URL(inject('dsn'));
    url.pathname = dbname;
    await writeFile(join(folder, name!), script!.replace('postgresql://localhost/app', url.href));
    const { stdout } = await run(process.execPath, ['--import', 'tsx', name!], {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' },
    });
    const told = [...script!.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line);
    expect(told).toHaveLength(2);
    expect(stdout.trimEnd().split('\n')).toEqual(told);
  },
);
