import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { AsyncClientCursor, errors, sql, type AsyncConnection } from '../../src/index.js';
import { connect, dsn, rejection } from '../support/database.js';

const SECRET = 'not-to-be-shown';

async function undefinedColumn(connection: AsyncConnection): Promise<errors.Error> {
  return rejection(connection.execute('SELECT\n  nothing, %s::int', [7]));
}

/** What is printed, without the places of functions. */
function withoutPlaces(printed: string): string {
  return printed.replaceAll(/\n +at .*(?=\n +at )/g, '').replaceAll(/at .*?(?=(?: \{)?$)/gm, 'at …');
}

describe('a printed error', () => {
  it('shows its class, what the server says, where in the query, the query and the connection', async () => {
    const connection = await connect();
    const { host, port, dbname, user, backendPid } = connection.info;
    const error = await undefinedColumn(connection);
    expect(withoutPlaces(inspect(error))).toBe(`UndefinedColumn: column "nothing" does not exist
LINE 2:   nothing, $1::int
          ^
    at … {
  sqlstate: '42703',
  query: 'SELECT\\n  nothing, $1::int',
  connection: ${inspect({ host, port, dbname, user, pid: backendPid }).replaceAll('\n', '\n  ')}
}`);
  });

  it('shows details, hints, the query of a function and its context, and the advice last', async () => {
    const connection = await connect();
    await connection.execute('CREATE TEMP TABLE city (name text UNIQUE)');
    await connection.execute("INSERT INTO city VALUES ('Paris')");
    await connection.commit();
    const hinted = await rejection(connection.execute('SELECT nam FROM city'));
    expect(hinted.stack).toMatch(
      /^UndefinedColumn: .*\nLINE 1: .*\n +\^\nHINT: {2}Perhaps you meant .*"city\.name".*\n +at /,
    );
    await connection.rollback();
    const detailed = await rejection(connection.execute("INSERT INTO city VALUES ('Paris')"));
    expect(detailed.stack).toMatch(
      /^UniqueViolation: .*\nDETAIL: {2}Key \(name\)=\(Paris\) already exists\.\n +at /,
    );
    expect(detailed.message).toBe(detailed.diag.messagePrimary);
    await connection.rollback();
    const advised = await rejection(connection.execute('SELECT 1 WHERE 1 IN %s', [[1]]));
    expect(advised.stack).toMatch(
      /^SyntaxError: .*\nLINE 1: SELECT 1 WHERE 1 IN \$1\n +\^\nADVICE: {2}.*\n +at /,
    );
    expect(advised.message).toMatch(/^syntax error at or near "\$1"\nADVICE: {2}/);
  });

  it('is the same within others, as a cause, and in colours; beyond the depth it is its class', async () => {
    const error = await undefinedColumn(await connect());
    const whole = /LINE 2: {3}nothing, \$1::int\n +\^\n[^]*sqlstate: '42703'/;
    expect(inspect([error])).toMatch(whole);
    expect(inspect(new Error('outer', { cause: error }))).toMatch(whole);
    expect(inspect(new AggregateError([error], 'outer'))).toMatch(whole);
    expect(inspect(error, { colors: true })).toContain("sqlstate: \u001b[32m'42703'\u001b[39m");
    expect(inspect({ error }, { depth: 0 })).not.toContain('LINE');
    const circular = Object.assign(error, { cause: error });
    expect(inspect(circular, { depth: null })).toContain('[Circular *1]');
  });

  it('shows the beginning of a long query, and a part of the line of its position', async () => {
    const connection = await connect();
    const error = await rejection(connection.execute(`SELECT ${'1, '.repeat(50_000)}nothing`));
    expect(inspect(error)).toMatch(/^UndefinedColumn: [^]*query: 'SELECT (?:1, )+.*… \(150014 characters\)'/);
    expect(inspect(error).length).toBeLessThan(4000);
    expect(error.query).toHaveLength(150_014);
    expect(inspect(error)).toContain(error.stack!);
  });

  it('is printed by Node when no code catches it', async () => {
    const { stderr, code } = await runProgram(`
      const conn = await AsyncConnection.connect(process.env.DSN);
      conn.execute('SELECT nothing, %s::int', [7]).finally(() => conn.close());
    `);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /UndefinedColumn: column "nothing" does not exist\nLINE 1: SELECT nothing, \$1::int\n {15}\^\n[^]*sqlstate: '42703',\n {2}query: 'SELECT nothing, \$1::int',\n {2}connection: \{/,
    );
  });
});

describe('with stacks that are made in another way', () => {
  const FAILS = `
      const conn = await AsyncConnection.connect(process.env.DSN);
      const error = await conn.execute('SELECT nothing').catch((reason) => reason);
      const piped = await conn.withPipeline(() => conn.execute('SELECT nothing')).catch((reason) => reason);
      await conn.close();
      console.log(error.sqlstate, piped instanceof errors.Error, inspect(error).includes('42703'));
      console.log(JSON.stringify(error.stack));`;

  it.each([
    [
      'none',
      'Error.stackTraceLimit = 0;',
      /^"UndefinedColumn: column \\"nothing\\" does not exist\\nLINE 1: .*\^"$/,
    ],
    ['no limit', 'delete Error.stackTraceLimit;', /^"UndefinedColumn: column \\"nothing\\" does not exist/],
    ['objects', 'Error.prepareStackTrace = (error, frames) => frames.map(String);', /^\[".*"\]$/],
    [
      'another text',
      "Error.prepareStackTrace = (error) => 'stack of ' + error.message;",
      /^"stack of column \\"nothing\\" does not exist"$/,
    ],
    [
      'nothing that can be changed',
      'Error.prepareStackTrace = Error.prototype.toString; Object.freeze(Error);',
      /./,
    ],
  ])('%s: errors are what they are', async (_, before, stack) => {
    const { stdout, stderr, code } = await runProgram(before + FAILS);
    expect([code, stderr]).toEqual([0, '']);
    const [known, json] = stdout.trim().split('\n');
    expect(known).toBe('42703 true true');
    expect(json).toMatch(stack);
  });
});

describe('no value of a parameter is shown', () => {
  const queries: [what: string, fails: (connection: AsyncConnection) => Promise<unknown>][] = [
    ['parameter', (conn) => conn.execute('SELECT nothing, %s', [SECRET])],
    ['value of a template', (conn) => conn.execute(sql`SELECT nothing, ${SECRET}`)],
    ['literal', (conn) => conn.execute(sql`SELECT nothing, ${sql.Literal(SECRET)}`)],
    [
      'parameter of a client cursor',
      (conn) => new AsyncClientCursor(conn).execute('SELECT nothing, %s', [SECRET]),
    ],
    [
      'value of a template of a client cursor',
      (conn) => new AsyncClientCursor(conn).execute(sql`SELECT nothing, ${SECRET}`),
    ],
    [
      'parameter of executemany()',
      (conn) => conn.cursor().executemany('SELECT nothing, %s', [[SECRET], [SECRET]]),
    ],
    [
      'parameter of a client cursor’s executemany()',
      (conn) => new AsyncClientCursor(conn).executemany('SELECT nothing, %s', [[SECRET], [SECRET]]),
    ],
    ['parameter of a stream', (conn) => conn.cursor().stream('SELECT nothing, %s', [SECRET]).next()],
    [
      'parameter of a client cursor’s stream',
      (conn) => new AsyncClientCursor(conn).stream('SELECT nothing, %s', [SECRET]).next(),
    ],
    [
      'parameter of a stream without rows',
      (conn) => new AsyncClientCursor(conn).stream('SET application_name = %s', [SECRET]).next(),
    ],
    [
      'parameter of a server-side cursor',
      (conn) => conn.cursor({ name: 'far' }).execute('SELECT nothing, %s', [SECRET]),
    ],
    ['parameter of a COPY', (conn) => conn.cursor().copy('COPY (SELECT nothing, %s) TO STDOUT', [SECRET])],
    ['parameter of what is no COPY', (conn) => conn.cursor().copy('SELECT %s', [SECRET])],
    [
      'parameter of a COPY among others',
      (conn) => conn.cursor().copy('COPY (SELECT %s) TO STDOUT; SELECT 1', [SECRET]),
    ],
    [
      'parameter of a COPY that is used wrongly',
      async (conn) => {
        await using copy = await conn.cursor().copy('COPY (SELECT %s) TO STDOUT', [SECRET]);
        await copy.write('x');
      },
    ],
    [
      'parameter of a COPY that has the connection',
      async (conn) => {
        await using _copy = await conn.cursor().copy('COPY (SELECT %s) TO STDOUT', [SECRET]);
        await conn.execute('SELECT 1');
      },
    ],
    [
      'parameter in a pipeline',
      (conn) =>
        conn.withPipeline(async () => {
          await new AsyncClientCursor(conn).execute('SELECT nothing, %s', [SECRET]);
        }),
    ],
    [
      'parameter on a lost connection',
      async (conn) => {
        await conn.execute('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
        await new AsyncClientCursor(conn).execute('SELECT %s', [SECRET]);
      },
    ],
    [
      'parameter that waits when the connection is closed',
      async (conn) => {
        const waiting = new AsyncClientCursor(conn).execute('SELECT pg_sleep(60), %s', [SECRET]);
        await Promise.all([waiting, conn.close()]);
      },
    ],
  ];

  it.each(queries)('%s', async (_, fails) => {
    const error = await rejection(fails(await connect({ autocommit: true })));
    expect(error).toBeInstanceOf(errors.Error);
    // As loggers do that copy what is enumerable.
    const fields: Record<string, unknown> = {};
    for (const key in error) fields[key] = Reflect.get(error, key);
    const shown = [
      inspect(error, { depth: null }),
      JSON.stringify(error),
      JSON.stringify(fields),
      error.stack,
      error.message,
    ];
    expect(shown.join('\n')).not.toContain(SECRET);
  });
});

/** Runs a program that has imported what the library exports, to its end. */
function runProgram(program: string): Promise<{ stdout: string; stderr: string; code: number }> {
  const library = fileURLToPath(new URL('../../src/index.js', import.meta.url));
  const text = `import { inspect } from 'node:util';
import { AsyncConnection, errors } from ${JSON.stringify(library)};
${program}`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', text];
  const env = { ...process.env, DSN: dsn(), NODE_OPTIONS: '' };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, code: error === null ? 0 : Number(error.code) });
    });
  });
}
