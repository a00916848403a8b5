import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, test } from 'vitest';

const LIMIT = 120_000;

/** Runs an example as a separate process, like its readers. */
async function run(name: string): Promise<{ code: number | null; output: string }> {
  const path = fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path], {
    env: { ...process.env, DATABASE_URL: inject('dsn'), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

describe('the examples', () => {
  test(
    '01 loses rows with a shared client, and a shared cursor prevents it',
    { timeout: LIMIT },
    async () => {
      const { code, output } = await run('01-shared-cursor-failure');
      expect(code, output).toBe(0);
      expect(output).toMatch(/errors raised: +0\n/);
      expect(output).toContain('succeeded: 15, of which their row was lost: 15');
      expect(output).toMatch(/second task: ConcurrentCursorUse: [^]*first task[^]*second task/);
      expect(output).toContain("first task, unaffected: the first task's row");
      expect(output).toContain('succeeded: 15, of which their row was lost: 0');
    },
  );

  test('02 returns each of many tasks its own answer over ten connections', { timeout: LIMIT }, async () => {
    const { code, output } = await run('02-connection-per-task');
    expect(code, output).toBe(0);
    expect(output).toContain('wrong results: 0');
    expect(Number(/connections used: (\d+)/.exec(output)?.[1])).toBeLessThanOrEqual(10);
  });

  test('03 uses getconn and putconn, and a returned connection refuses use', { timeout: LIMIT }, async () => {
    const { code, output } = await run('03-threaded-pool-way');
    expect(code, output).toBe(0);
    expect(output).toContain('50 of 50 tasks got their own answer');
    expect(output).toMatch(/used after putconn: InterfaceError/);
    expect(output).toContain('pool closed: true');
  });

  test(
    '04 keeps committed work, and rolls back uncommitted work with a warning',
    { timeout: LIMIT },
    async () => {
      const { code, output } = await run('04-await-using');
      expect(code, output).toBe(0);
      expect(output).toMatch(/after commit: +kept\n/);
      expect(output).toMatch(/after leaving without commit: kept\n/);
      expect(output).toContain('USINGPG_UNCOMMITTED');
      expect(output).toMatch(/after withConnection: +kept, returned\n/);
      expect(output).toMatch(/after a throw: +kept, returned \(Error: changed my mind\)/);
    },
  );

  test('05 loses no background job when it shuts down', { timeout: LIMIT }, async () => {
    const { code, output } = await run('05-web-service');
    expect(code, output).toBe(0);
    expect(output).toContain('12 of 12 requests accepted');
    expect(output).toContain('shut down: server closed, jobs done, pool closed');
    expect(output).toContain('rows written: 120, distinct: 120, expected: 120');
  });

  test('06 reads every city back right over at most ten connections', { timeout: LIMIT }, async () => {
    const { code, output } = await run('06-real-data');
    expect(code, output).toBe(0);
    const loaded = /(\d+) cities loaded/.exec(output)?.[1];
    expect(Number(loaded)).toBeGreaterThan(10_000);
    expect(output).toMatch(/^tasks +500 +500$/m);
    expect(output).toMatch(new RegExp(`^rows +${String(loaded)} +${String(loaded)}$`, 'm'));
    expect(output).toMatch(/^wrong results +0 +0$/m);
    const peak = Number(/^peak connections +(\d+)/m.exec(output)?.[1]);
    expect(peak).toBeGreaterThan(1);
    expect(peak).toBeLessThanOrEqual(10);
  });

  test('07 copies every city in, out, and across', { timeout: LIMIT }, async () => {
    const { code, output } = await run('07-copy-cities');
    expect(code, output).toBe(0);
    const counts = [...output.matchAll(/^example_\w+: (\d+) of (\d+) cities$/gm)];
    expect(counts).toHaveLength(3);
    for (const [, stored, expected] of counts) expect(stored).toBe(expected);
    expect(output).toContain('all tables are the same: true');
  });

  test('08 does every job once, whatever is killed', { timeout: LIMIT }, async () => {
    const { code, output } = await run('08-job-queue');
    expect(code, output).toBe(0);
    expect(output).toContain('jobs done: 300 of 300, each once: true');
    expect(output).toMatch(/connections killed: 6/);
  });

  test('09 reads five million rows in flat memory', { timeout: LIMIT }, async () => {
    const { code, output } = await run('09-report');
    expect(code, output).toBe(0);
    expect(output).toContain('5000000 rows in');
    expect(Number(/memory grew by (\d+) MiB/.exec(output)?.[1])).toBeLessThan(50);
  });
  test('10 prints a tree of spans, each below its caller’s', { timeout: LIMIT }, async () => {
    const { code, output } = await run('10-opentelemetry');
    expect(code, output).toBe(0);
    for (const number of [1, 2, 3]) {
      const tree = new RegExp(`^request ${String(number)}  .*\\n((?:  .*\\n)*)`, 'm').exec(output)?.[1];
      const names = [...(tree ?? '').matchAll(/^ {2}(\S.*?) {2}/gm)].map(([, name]) => name);
      expect(names, output).toEqual([
        'usingpg.checkout',
        'SELECT generate_series',
        'BATCH SELECT',
        'SAVEPOINT',
        'SELECT',
        'ROLLBACK',
        'RELEASE',
        'COMMIT',
      ]);
      expect(tree).toMatch(/ms {2}SELECT n FROM generate_series\(1, \$1\) n$/m);
      expect(tree).toMatch(/^ {2}SELECT {2}\S+ ms {2}SELECT \? \/ \? {2}ERROR 22012$/m);
    }
    expect(output).toMatch(/^ {2}web idle: 2$/m);
    expect(output).toMatch(/^ {2}web used: 0$/m);
  });

  test('11 exports counts and times to Prometheus', { timeout: LIMIT }, async () => {
    const { code, output } = await run('11-prometheus');
    expect(code, output).toBe(0);
    expect(output).toContain('usingpg_checkout_seconds_count{pool="web",outcome="ok"} 40');
    expect(output).toContain('usingpg_query_seconds_count{pool="web",operation="SELECT"} 40');
    expect(output).toContain('usingpg_query_errors_total{pool="web",sqlstate="22012"} 4');
    expect(output).toContain('usingpg_pool_waiting{pool="web"} 0');
    expect(output).toMatch(/usingpg_evictions_total\{pool="web",reason="drained"\} [1-4]/);
  });

  test('13 reads and writes types of its own by codecs', { timeout: LIMIT }, async () => {
    const { code, output } = await run('13-types-of-your-own');
    expect(code, output).toBe(0);
    expect(output).toContain('10: [10, 5, -10]\n  9: [9, 4.5, -9]\n  11: [11, 5.5, -11]');
    expect(output).toMatch(/PostGIS is not installed|a point: .*"srid":4326} POINT\(13.4 52.5\)/);
  });

  test('14 owns the pool as a Fastify plugin', { timeout: LIMIT }, async () => {
    const { code, output } = await run('14-fastify-plugin');
    expect(code, output).toBe(0);
    expect(output).toContain('200 of 200 requests got their own answer');
    expect(output).toMatch(/connections: [1-5] of at most 5/);
    expect(output).toContain('a failing statement answers 500: {"error":"DivisionByZero: division by zero');
    expect(output).toMatch(/logged: DivisionByZero 22012, "DivisionByZero 22012 after \S+ ms"/);
    expect(output).toContain('the pool is closed with the application: true');
  });
});
