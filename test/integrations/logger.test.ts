import { channel } from 'node:diagnostics_channel';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { errors, type AsyncConnection } from '../../src/index.js';
import { logQueries, type LogOptions, type StructuredLogger } from '../../src/integrations/logger.js';
import { connect, makePool, rejection } from '../support/database.js';

type Entry = readonly [level: string, line: string];

/** Logs on a logger like `console` until the test ends, and collects what it writes. */
function lines(options?: LogOptions): Entry[] {
  const entries: Entry[] = [];
  const at = (level: string) => (line: string) => void entries.push([level, line]);
  const logger = { log: at('log'), debug: at('debug'), warn: at('warn'), error: at('error') };
  onTestFinished(logQueries(logger, options));
  return entries;
}

/** Logs on pino until the test ends, and collects the entries as it writes them. */
function entries(options?: LogOptions, level = 'debug'): Record<string, unknown>[] {
  const written: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      written.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  onTestFinished(logQueries(pino({ level }, stream), options));
  return written;
}

async function withCity(): Promise<AsyncConnection> {
  const connection = await connect({ autocommit: true });
  await connection.execute('CREATE TEMP TABLE city (id int PRIMARY KEY, name text)');
  return connection;
}

describe('a logger of lines', () => {
  it('gets one line for each statement, with its outcome, its duration and its text', async () => {
    const connection = await withCity();
    const log = lines();
    await connection.execute(
      `SELECT *
      FROM city
      WHERE id = %s`,
      [4711],
    );
    await connection.cursor().executemany('INSERT INTO city VALUES (%s, %s)', [
      [1, 'Rome'],
      [2, 'Oslo'],
    ]);
    expect(log.map(([level]) => level)).toEqual(['debug', 'debug']);
    const pid = String(connection.info.backendPid);
    expect(log[0]![1]).toMatch(
      new RegExp(`^usingpg ${pid}: SELECT 0 in \\d+\\.\\d ms: SELECT \\* FROM city WHERE id = \\$1$`),
    );
    expect(log[1]![1]).toMatch(/: INSERT 0 1 in \S+ ms, 2 executions: INSERT INTO city VALUES \(\$1, \$2\)$/);
    expect(log.flat().join()).not.toMatch(/4711|Rome/);
  });

  it('gets failures as errors with their SQLSTATE, without the values that the server quotes', async () => {
    const connection = await withCity();
    const log = lines();
    await rejection(connection.execute('SELECT %s::int', ['secret']));
    await rejection(connection.execute('SELECT 1', null, { signal: AbortSignal.abort() }));
    expect(log.map(([level]) => level)).toEqual(['error', 'error']);
    expect(log[0]![1]).toMatch(/: InvalidTextRepresentation 22P02 after \S+ ms: SELECT \$1::int$/);
    expect(log[1]![1]).toMatch(/: AbortError after \S+ ms: SELECT 1$/);
    expect(log.flat().join()).not.toContain('secret');
  });

  it('gets a warning for a statement that takes `slow` seconds or longer', async () => {
    const connection = await withCity();
    const log = lines({ slow: 0.2 });
    await connection.execute('SELECT pg_sleep(0.25)');
    expect(log.at(-1)![0]).toBe('warn');
    const all = lines({ slow: 0 });
    await connection.execute('SELECT 1');
    expect(all).toMatchObject([['warn', expect.stringContaining('SELECT 1')]]);
  });

  it('gets values only if that is wanted, and few of them', async () => {
    const connection = await withCity();
    const log = lines({ values: true });
    await connection.execute('SELECT %s::text, %s::int, %s::int', ['a "b"\n', 4711, null]);
    await connection.execute('SELECT %s::text', ['x'.repeat(1000)]);
    await connection.execute(`SELECT ${Array(30).fill('%s::int').join()}`, Array(30).fill(7));
    await connection.cursor().executemany('SELECT %s::int', [[1], [2]]);
    await connection.execute('SELECT 1');
    await rejection(connection.execute('SELECT %s::int', ['no number']));
    const shown = log.map(([, line]) => line.slice(line.lastIndexOf(': ') + 2));
    expect(shown[0]).toBe(String.raw`SELECT $1::text, $2::int, $3::int ["a \"b\"\n","4711",null]`);
    expect(shown[1]).toBe(`SELECT $1::text ["${'x'.repeat(100)}… (1000 characters)"]`);
    expect(shown[2]).toMatch(/ \[("7",){20}"… 10 more"\]$/);
    expect(shown[3]).toBe('SELECT $1::int ["1"]');
    expect(shown[4]).toBe('SELECT 1');
    expect(log[5]![1]).toContain('(invalid input syntax for type integer: "no number")');
    expect(shown[5]).toBe('SELECT $1::int ["no number"]');
  });

  it('gets the beginning of a long text, and the name of the pool', async () => {
    const pool = makePool({ minSize: 1, name: 'logged' });
    await pool.wait();
    const log = lines();
    await pool.execute(`SELECT 1 -- ${'x'.repeat(5000)}`);
    const [, line] = log[0]!;
    expect(line).toMatch(/^usingpg logged \d+: SELECT 1 in .*x… \(5012 characters\)$/);
    expect(line.length).toBeLessThan(2200);
  });
});

describe('pino', () => {
  it('gets fields and a message', async () => {
    const connection = await withCity();
    const { host, port, dbname, backendPid } = connection.info;
    const log = entries();
    await connection.execute('SELECT * FROM city WHERE id = %s', [4711]);
    expect(log).toEqual([
      {
        level: 20,
        time: expect.any(Number) as number,
        pid: process.pid,
        hostname: expect.any(String) as string,
        msg: expect.stringMatching(/^SELECT 0 in \S+ ms$/) as string,
        query: 'SELECT * FROM city WHERE id = $1',
        kind: 'statement',
        seconds: expect.any(Number) as number,
        rowcount: 0,
        tag: 'SELECT 0',
        host,
        port,
        dbname,
        backendPid,
      },
    ]);
  });

  it('gets errors with their SQLSTATE, and with all that they say only if values are wanted', async () => {
    const connection = await withCity();
    await connection.execute('INSERT INTO city VALUES (4711)');
    const log = entries();
    const withValues = entries({ values: true });
    await rejection(connection.execute('INSERT INTO city VALUES (%s)', [4711]));
    expect(log).toMatchObject([{ level: 50, error: 'UniqueViolation', sqlstate: '23505' }]);
    expect(JSON.stringify(log)).not.toContain('4711');
    expect(withValues).toMatchObject([
      { sqlstate: '23505', values: ['4711'], err: { type: 'UniqueViolation' } },
    ]);
    expect(JSON.stringify(withValues)).toContain('(id)=(4711)');
  });

  it('gets no entry of a level that it does not write', async () => {
    const connection = await withCity();
    const log = entries({ slow: 0 }, 'error');
    await connection.execute('SELECT 1');
    expect(log).toEqual([]);
    let calls = 0;
    const quiet: StructuredLogger = {
      debug: () => calls++,
      warn: () => calls++,
      error: () => calls++,
      isLevelEnabled: () => false,
    };
    onTestFinished(logQueries(quiet));
    await connection.execute('SELECT 1');
    expect(calls).toBe(0);
  });
});

describe('logQueries()', () => {
  it('ends with what it returns, each call for itself', async () => {
    const connection = await withCity();
    const counts = [0, 0];
    const [first, second] = counts.map((_, i) => {
      const write = (): unknown => counts[i]!++;
      return logQueries({ debug: write, warn: write, error: write });
    });
    await connection.execute('SELECT 1');
    first!();
    first!();
    await connection.execute('SELECT 2');
    second!();
    expect(counts).toEqual([1, 2]);
    expect(channel('tracing:usingpg:query:asyncEnd').hasSubscribers).toBe(false);
  });

  it('refuses what is no logger, and options that it does not know', () => {
    expect(() => logQueries({} as never)).toThrow(
      /needs a logger with the methods debug, warn, error.* no `debug`/,
    );
    expect(() => logQueries(null as never)).toThrow(errors.ProgrammingError);
    expect(() => logQueries(console, { slowMs: 5 } as never)).toThrow(
      'unknown option `slowMs` of logQueries(): the options are slow, values',
    );
    expect(() => logQueries(console, { slow: -1 })).toThrow(
      'expected `slow` to be a number of seconds, 0 or more',
    );
    expect(() => logQueries(console, { values: 1 } as never)).toThrow(
      'expected `values` to be true or false',
    );
    expect(() => logQueries(console, 5 as never)).toThrow(
      'got 5; write `logQueries(logger, { slow, values })`',
    );
  });
});
