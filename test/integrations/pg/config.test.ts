import { inspect } from 'node:util';
import pg from 'pg';
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

test('a socket: URI names the directory of the server’s socket', () => {
  expect(paramsOf('socket://ann:p%40ss@/var/run/postgresql?db=app&encoding=utf8&port=6000')).toMatchObject({
    host: '/var/run/postgresql',
    port: 6000,
    user: 'ann',
    password: 'p@ss',
    dbname: 'app',
    client_encoding: 'utf8',
  });
  expect(() => new Configuration('socket:directory?db=app')).toThrow(errors.ProgrammingError);
  expect(() => new Configuration('socket:/directory?database=app')).toThrow(errors.ProgrammingError);
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

test('the scheme of a connection string may be pg, and no other database’s', async () => {
  expect(paramsOf('pg://ann@db:6000/app')).toEqual(paramsOf('postgresql://ann@db:6000/app'));
  expect(() => new Configuration('mysql://ann@db/app')).toThrow(errors.ProgrammingError);
  const { host, port, user, database } = config();
  const client = new Client(
    `pg://${user!}@${host!}:${String(port)}/${database!}?application_name=${config().application_name!}`,
  );
  await client.connect();
  onTestFinished(() => client.end());
  expect((await client.query('SELECT current_database() AS name')).rows).toEqual([{ name: database }]);
});

test.for<[given: string | ClientConfig, environment: Record<string, string>]>([
  [{ host: 'db', port: '6000', user: 'ann', password: 'p', database: 'app' }, {}],
  [{ user: 'ann', ssl: { key: 'K', ca: 'C' }, connectionTimeoutMillis: 2500, statement_timeout: 100 }, {}],
  [{ user: 'ann', ssl: true, query_timeout: 10, options: '-c search_path=app', application_name: 'web' }, {}],
  [{ host: '/var/run/postgresql', user: 'ann' }, {}],
  ['postgres://ann:p@db:6000/app?sslmode=no-verify&application_name=web&lock_timeout=5', {}],
  ['postgres://ann@db/app?sslmode=disable', {}],
  ['postgres://ann@db/app?ssl=true', {}],
  ['/var/run/postgresql app', { PGUSER: 'ann' }],
  ['socket:/var/run/postgresql?db=app&encoding=utf8&user=ann', {}],
  ['socket://ann:p%40ss@/var/run/my%20server=a&b/?db=my%20app&port=6000', { PGPORT: '7000' }],
  ['socket:/var/run/postgresql', { PGUSER: 'ann', PGDATABASE: 'app' }],
  [
    {},
    {
      PGHOST: 'h',
      PGPORT: '6000',
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 'p',
      PGAPPNAME: 'a',
      PGSSLMODE: 'no-verify',
    },
  ],
])('the connectionParameters of %o are those of node-postgres', ([given, environment]) => {
  for (const [name, value] of Object.entries({ USER: 'ann', ...environment })) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const ours: object = new Client(given).connectionParameters;
  const theirs: object = (
    new pg.Client(given as pg.ClientConfig) as unknown as { connectionParameters: object }
  ).connectionParameters;
  for (const name of Object.keys(ours)) {
    const [own, expected] = [ours, theirs].map((parameters) => Reflect.get(parameters, name) as unknown);
    expect(own, name).toEqual(expected);
  }
  expect(Reflect.get(ours, 'password')).toEqual(Reflect.get(theirs, 'password'));
});

test('connectionParameters show no secret, and refuse a change, which would have no effect', () => {
  const { connectionParameters } = new Client({ password: 'secret', ssl: { key: 'secret' } });
  expect(connectionParameters.password).toBe('secret');
  expect(connectionParameters.ssl).toHaveProperty('key', 'secret');
  expect(inspect(connectionParameters) + JSON.stringify(connectionParameters)).not.toContain('secret');
  expect(() => Object.assign(connectionParameters, { host: 'other' })).toThrow(TypeError);
  expect(new Client({ ssl: { key: 'secret' } }).ssl).toHaveProperty('key', 'secret');
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
