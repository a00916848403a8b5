import { describe, expect, test } from 'vitest';
import { AsyncConnection, AsyncConnectionPool, conninfoToDict, errors } from '../../src/index.js';
import { rejection } from '../support/database.js';

const SECRET = 'hunter2';

function refusal(conninfo: string): string {
  try {
    conninfoToDict(conninfo);
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return (error as Error).message;
  }
  return 'accepted';
}

describe('the URL of another tool is refused with what to write instead', () => {
  test.each([
    // node-postgres, postgres.js, Heroku
    ['?ssl=true', '`sslmode=verify-full` and `sslrootcert`'],
    ['?ssl=1', '`sslmode=verify-full` and `sslrootcert`'],
    ['?ssl=false', '`sslmode=disable`'],
    ['?ssl=require', '`sslmode=require`'],
    ['?ssl=no-verify', '`sslmode=require`'],
    ['?statement_timeout=5000', '`-c statement_timeout=5000`'],
    ['?max=10', '`new AsyncConnectionPool(conninfo, { maxSize: 10 })`'],
    ['?idle_timeout=20', '`new AsyncConnectionPool(conninfo, { maxIdle: 20 })`'],
    // Prisma
    ['?pgbouncer=true', '`prepareThreshold: null`'],
    ['?schema=public', '`-c search_path=…`'],
    ['?connection_limit=5', '`new AsyncConnectionPool(conninfo, { maxSize: 5 })`'],
    ['?pool_timeout=10', '`new AsyncConnectionPool(conninfo, { timeout: 10 })`'],
    ['?sslaccept=strict', '`sslmode=verify-full`'],
    ['?sslaccept=accept_invalid_certs', '`sslmode=require`'],
    ['?socket_timeout=5', 'AbortSignal.timeout'],
    ['?statement_cache_size=0', '`prepareThreshold: null`'],
    // JDBC
    ['?currentSchema=app', '`-c search_path=…`'],
    ['?ApplicationName=app', '`application_name=…`'],
    ['?loginTimeout=5', '`connect_timeout=5`'],
    ['?targetServerType=primary', '`target_session_attrs=…`'],
    // pgx, Django, Rails
    ['?pool_max_conns=10', '`new AsyncConnectionPool(conninfo, { maxSize: 10 })`'],
    ['?encoding=utf8', '`client_encoding=…`'],
    // Slips of the pen
    ['?sslmodes=require', '`sslmode=…`'],
    ['?aplication_name=app', '`application_name=…`'],
  ])('%s', (query, written) => {
    const message = refusal(`postgresql://me:${SECRET}@localhost/app${query}`);
    expect(message).toContain(`invalid connection option "${/\w+/.exec(query)![0]}": `);
    expect(message).toContain(written);
    expect(message).not.toContain(SECRET);
  });

  test.each([
    [`jdbc:postgresql://localhost/app?user=me&password=${SECRET}`, 'without "jdbc:"'],
    [`postgresql+psycopg://me:${SECRET}@localhost/app`, 'begins with postgresql://'],
    [`postgresql+asyncpg://me:${SECRET}@localhost/app?ssl=true`, 'begins with postgresql://'],
    [`POSTGRESQL://me:${SECRET}@localhost/app`, 'begins with postgresql://'],
    [`postgis://me:${SECRET}@localhost/app`, 'begins with postgresql://'],
    [`postgresql:/me:${SECRET}@localhost/app`, 'begins with postgresql://'],
    [`mysql://me:${SECRET}@localhost/app`, 'the scheme "mysql:" is not that of PostgreSQL'],
    [
      `prisma+postgres://localhost/?api_key=${SECRET}`,
      'the scheme "prisma+postgres:" is not that of PostgreSQL',
    ],
    [`"postgresql://me:${SECRET}@localhost/app"`, 'begins with a quote or a space'],
    [` postgresql://me:${SECRET}@localhost/app`, 'begins with a quote or a space'],
  ])('%s', (conninfo, written) => {
    const message = refusal(conninfo);
    expect(message).toContain(written);
    expect(message).not.toContain(SECRET);
  });

  test('also where a word with a password in it stands before an equals sign', () => {
    expect(refusal(`me:${SECRET}@localhost/app=1`)).not.toContain(SECRET);
  });

  test.each([
    ['sslmode=no-verify', 'it should be sslmode=require'],
    ['sslmode=true', 'it should be sslmode=verify-full'],
    ['sslmode=strict', 'it should be one of disable, allow'],
    ['target_session_attrs=master', 'it should be primary'],
  ])('by its value: %s', async (conninfo, written) => {
    const error = await rejection(AsyncConnection.connect(`host=127.0.0.1 ${conninfo}`));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toContain(written);
  });

  test('when the pool is made', () => {
    expect(() => new AsyncConnectionPool('postgresql://localhost/app?pgbouncer=true')).toThrow(
      errors.ProgrammingError,
    );
  });
});
