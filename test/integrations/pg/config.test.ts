import { expect, onTestFinished, test, vi } from 'vitest';
import { Client } from '../../../src/integrations/pg/index.js';
import { Configuration, type ClientConfig } from '../../../src/integrations/pg/config.js';
import { errors, type PasswordFunction } from '../../../src/index.js';
import { config, connect } from './clients.js';

/** The library's parameters for a configuration of node-postgres, without those that are undefined. */
function paramsOf(given: string | ClientConfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(new Configuration(given).conninfo).filter(([, value]) => value != null),
  );
}

test('a configuration has node-postgres’s defaults', () => {
  vi.stubEnv('USER', 'ann');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  expect(paramsOf({})).toEqual({
    host: 'localhost',
    port: 5432,
    user: 'ann',
    dbname: 'ann',
    sslmode: 'disable',
  });
});

test('the environment stands in for what is not given', () => {
  for (const [name, value] of Object.entries({
    PGHOST: 'h',
    PGPORT: '6000',
    PGUSER: 'u',
    PGDATABASE: 'd',
    PGSSLMODE: 'require',
  }))
    vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  expect(paramsOf({ database: 'mine' })).toMatchObject({
    host: 'h',
    port: 6000,
    user: 'u',
    dbname: 'mine',
    sslmode: 'verify-full',
  });
});

test('a connection string takes precedence, and may have parameters of node-postgres and of libpq', () => {
  expect(
    paramsOf({
      connectionString:
        'postgres://ann:p%40ss@db.example.com:6000/app?application_name=web&statement_timeout=500&target_session_attrs=primary',
      host: 'other',
      options: '-c search_path=app',
    }),
  ).toEqual({
    host: 'db.example.com',
    port: 6000,
    user: 'ann',
    password: 'p@ss',
    dbname: 'app',
    application_name: 'web',
    options: '-c search_path=app -c statement_timeout=500',
    target_session_attrs: 'primary',
    sslmode: 'disable',
  });
  expect(paramsOf('/var/run/postgresql app')).toMatchObject({ host: '/var/run/postgresql', dbname: 'app' });
  expect(() => new Configuration('postgres://localhost/app?no_such=1')).toThrow(errors.ProgrammingError);
});

test.for([
  ['?sslmode=require', { sslmode: 'verify-full', sslrootcert: 'system' }],
  ['?sslmode=verify-ca&sslrootcert=/ca.pem', { sslmode: 'verify-full', sslrootcert: '/ca.pem' }],
  ['?sslmode=no-verify', { sslmode: 'require' }],
  ['?sslmode=disable', { sslmode: 'disable' }],
  ['?ssl=true', { sslmode: 'verify-full', sslrootcert: 'system' }],
  ['?ssl=0', { sslmode: 'disable' }],
  ['?sslmode=require&uselibpqcompat=true', { sslmode: 'require' }],
] as const)('%s means what it does in node-postgres', ([query, expected]) => {
  const { sslmode, sslrootcert } = paramsOf(`postgres://localhost/app${query}`);
  expect({ sslmode, ...(sslrootcert === undefined ? {} : { sslrootcert }) }).toEqual(expected);
});

test('the object ssl becomes parameters of TLS', () => {
  expect(paramsOf({ ssl: true })).toMatchObject({ sslmode: 'verify-full', sslrootcert: 'system' });
  expect(paramsOf({ ssl: { rejectUnauthorized: false, ca: 'CA' } })).not.toHaveProperty('sslrootcert');
  expect(paramsOf({ ssl: { rejectUnauthorized: false } })).toMatchObject({ sslmode: 'require' });
  expect(
    paramsOf({
      ssl: { ca: ['one', Buffer.from('two')], cert: 'C', key: 'K', passphrase: 'P', minVersion: 'TLSv1.3' },
    }),
  ).toMatchObject({
    sslmode: 'verify-full',
    sslrootcert: 'one\ntwo',
    sslcert: 'C',
    sslkey: 'K',
    sslpassword: 'P',
    ssl_min_protocol_version: 'TLSv1.3',
  });
  expect(paramsOf({ host: '10.0.0.1', ssl: { servername: 'db' } })).toMatchObject({
    host: 'db',
    hostaddr: '10.0.0.1',
  });
  for (const ssl of [{ checkServerIdentity: () => undefined }, { pfx: 'x' }, { servername: 'x' }]) {
    expect(() => paramsOf({ host: 'db', ssl })).toThrow(errors.NotSupportedError);
  }
});

test('limits are settings of the session', async () => {
  const client = await connect({
    statement_timeout: 60_000,
    lock_timeout: '50000',
    idle_in_transaction_session_timeout: 40_000,
    options: '-c search_path=app',
  });
  const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'search_path'];
  const { rows } = await client.query({
    text: `SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`,
    rowMode: 'array',
  });
  expect(rows).toEqual([['1min', '50s', '40s', 'app']]);
  await expect(new Client({ query_timeout: 'soon' }).query('SELECT 1')).rejects.toThrow(
    errors.ProgrammingError,
  );
});

test('a password may be a function, which gets what it is for', async () => {
  const asked: unknown[] = [];
  const client = await connect({
    password: (server) => {
      asked.push(server);
      return Promise.resolve('secret');
    },
  });
  await client.query('SELECT 1');
  // A server that trusts the client asks for none.
  const { user, database } = config();
  for (const server of asked) expect(server).toMatchObject({ user, database });
  const { password } = new Configuration({ password: () => 5 as never }).conninfo;
  const server = { host: 'h', port: 1, user: 'u', dbname: 'd' };
  await expect((password as PasswordFunction)(server)).rejects.toThrow('Password must be a string');
});

test.for(['stream', 'replication'])(
  'the option %s is refused, since it would silently do nothing',
  async (name) => {
    await expect(new Client({ ...config(), [name]: 'x' }).connect()).rejects.toThrow(
      errors.NotSupportedError,
    );
  },
);
