import { createPrivateKey } from 'node:crypto';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  makeConninfo,
  type ConninfoParams,
} from '../../src/index.js';
import { CertificateAuthority, type Identity } from '../support/certificates.js';
import { rejection } from '../support/database.js';
import { startOwnServer, type TestServer } from '../support/server.js';
import { temporaryHome } from '../support/temporary-home.js';

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
/** The server's own identity, and that of the role `with_certificate`. */
let identity: Identity;
let client: Identity;
let server: TestServer;
/** A home without `~/.postgresql`. */
const home = temporaryHome();

beforeAll(async () => {
  authority = await CertificateAuthority.create('usingpg test authority');
  stranger = await CertificateAuthority.create('usingpg test stranger');
  identity = await authority.issue({ name: 'x', altNames: [{ type: 'dns', value: 'localhost' }] });
  client = await authority.issue({ name: 'with_certificate' });
  server = await startOwnServer({
    settings: {
      ssl: 'on',
      ssl_cert_file: 'server.crt',
      ssl_key_file: 'server.key',
      ssl_ca_file: 'clients.crt',
    },
    files: { 'server.crt': identity.cert, 'server.key': identity.key, 'clients.crt': authority.cert },
    hba: ['hostssl all with_certificate all cert'],
    sql: 'CREATE ROLE with_certificate LOGIN',
  });
});

afterAll(() => server.stop());

/** Parameters that verify the server and sign in by the client's certificate, all of it in memory. */
function inMemory(): Record<string, string | number> & {
  sslrootcert: string;
  sslcert: string;
  sslkey: string;
} {
  return {
    host: 'localhost',
    hostaddr: '127.0.0.1',
    port: Number(conninfoToDict(server.dsn)['port']),
    user: 'with_certificate',
    dbname: 'postgres',
    sslmode: 'verify-full',
    sslrootcert: authority.cert,
    sslcert: client.cert,
    sslkey: client.key,
  };
}

async function connect(conninfo: string | ConninfoParams): Promise<AsyncConnection> {
  const connection = await AsyncConnection.connect(conninfo, { autocommit: true });
  onTestFinished(() => connection.close());
  return connection;
}

function refusal(conninfo: string | ConninfoParams): Promise<errors.Error> {
  return rejection(connect(conninfo));
}

/** The longest line of a PEM text, which is material and not a header. */
function material(pem: string): string {
  return pem.split('\n').reduce((longest, line) => (line.length > longest.length ? line : longest), '');
}

/** Expects that nothing of the client's material is in any form of a value that a program may print. */
function expectNothingShownBy(value: unknown, ...texts: readonly string[]): void {
  const shown = [inspect(value, { depth: 20, showHidden: true, getters: true }), String(value)];
  if (value instanceof Error) shown.push(String(value.stack), JSON.stringify(value));
  for (const text of shown) {
    expect(text).not.toMatch(/-----BEGIN [A-Z]/);
    for (const pem of texts) expect(text).not.toContain(material(pem));
  }
}

const bytes = (pem: string): Buffer => Buffer.from(pem);

describe('TLS material in memory', () => {
  it.each<[string, (params: ReturnType<typeof inMemory>) => string | ConninfoParams]>([
    ['as PEM text', (params) => params],
    [
      'as Buffers',
      (params) => ({
        ...params,
        sslrootcert: bytes(params.sslrootcert),
        sslcert: bytes(params.sslcert),
        sslkey: new Uint8Array(bytes(params.sslkey)),
      }),
    ],
    ['in a connection string', (params) => makeConninfo('', params)],
    [
      'in a URI',
      ({ port, ...params }) =>
        `postgresql://localhost:${String(port)}/postgres?` +
        ['hostaddr', 'user', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']
          .map((name) => `${name}=${encodeURIComponent(String(params[name]))}`)
          .join('&'),
    ],
    [
      'with text before and behind it',
      (params) => ({
        ...params,
        sslrootcert: `\n# the authority\n${params.sslrootcert}\n`,
        sslkey: `Bag Attributes: <None>\n${params.sslkey}`,
      }),
    ],
    [
      'with the line ends of Windows',
      (params) => ({ ...params, sslcert: params.sslcert.replaceAll('\n', '\r\n') }),
    ],
    [
      'with several authorities',
      (params) => ({ ...params, sslrootcert: stranger.cert + '\n' + authority.cert }),
    ],
  ])('verifies the server and signs in, given %s', async (_, given) => {
    const connection = await connect(given(inMemory()));
    const cursor = await connection.execute(
      'SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    expect(await cursor.fetchone()).toEqual(['with_certificate', true]);
  });

  it('may be Buffers of another realm', async () => {
    const { sslkey, ...params } = inMemory();
    const foreign = runInNewContext('Uint8Array.from(bytes)', { bytes: [...bytes(sslkey)] }) as Uint8Array;
    expect(foreign).not.toBeInstanceOf(Uint8Array);
    expect((await connect({ ...params, sslkey: foreign })).info.sslInUse).toBe(true);
  });

  it('may be in the environment', async () => {
    const { sslrootcert, ...params } = inMemory();
    vi.stubEnv('PGSSLROOTCERT', sslrootcert);
    onTestFinished(() => void vi.unstubAllEnvs());
    const connection = await connect(params);
    expect(connection.info.sslInUse).toBe(true);
    expect(connection.info.dsn).not.toContain('BEGIN');
  });

  it('may be beside files', async () => {
    const params = inMemory();
    const sslkey = await home.write('client.key', client.key);
    expect((await connect({ ...params, sslkey })).info.dsn).toContain(`sslkey=${sslkey}`);
  });

  it('has an encrypted key that sslpassword opens, and no other password', async () => {
    const sslkey = createPrivateKey(client.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'hunter2',
    }) as string;
    const params = { ...inMemory(), sslkey };
    expect((await connect({ ...params, sslpassword: 'hunter2' })).info.user).toBe('with_certificate');
    for (const [sslpassword, message] of [
      ['hunter3', 'PEM text of sslkey is encrypted, and sslpassword does not open it'],
      [undefined, 'PEM text of sslkey is encrypted, and there is no sslpassword'],
    ] as const) {
      const error = await refusal({ ...params, sslpassword });
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(error.message).toContain(message);
      expectNothingShownBy(error, sslkey);
      expect(String(error.stack)).not.toContain('hunter');
    }
  });

  it('refuses a server of another authority', async () => {
    const error = await refusal({ ...inMemory(), sslrootcert: stranger.cert });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/signed by no authority in the PEM text .*; set sslrootcert/);
    expectNothingShownBy(error, stranger.cert, client.key);
  });

  it('refuses a server whose certificate is in the list given as sslcrl', async () => {
    for (const list of [await authority.revoke(identity), bytes(await authority.revoke(identity))]) {
      expect((await refusal({ ...inMemory(), sslcrl: list })).message).toMatch(/has been revoked/);
    }
    const sslcrl = await authority.revoke(client);
    expect((await connect({ ...inMemory(), sslcrl })).info.dsn).not.toContain('BEGIN');
  });

  it.each<[string, (params: ReturnType<typeof inMemory>) => ConninfoParams, RegExp]>([
    [
      'a key of another certificate',
      (params) => ({ ...params, sslkey: identity.key }),
      /does not belong to the PEM text of sslcert/,
    ],
    [
      'a certificate without its key',
      ({ sslkey: _, ...params }) => params,
      /PEM text of sslcert is present, but not its private key file/,
    ],
    [
      'a key without its certificate',
      ({ sslcert: _, ...params }) => params,
      /sslkey is PEM text, but certificate file ".*" does not exist; give the certificate by sslcert/,
    ],
    [
      'a key in place of the certificate',
      (params) => ({ ...params, sslcert: params.sslkey }),
      /PEM text of sslcert has no certificate in PEM format/,
    ],
    [
      'a certificate in place of the key',
      (params) => ({ ...params, sslkey: params.sslcert }),
      /PEM text of sslkey could not be read/,
    ],
    [
      'a certificate in place of the list of revoked ones',
      (params) => ({ ...params, sslcrl: params.sslcert }),
      /PEM text of sslcrl has no list in PEM format/,
    ],
    [
      'a damaged certificate',
      (params) => ({ ...params, sslrootcert: params.sslrootcert.replace('MII', 'xxx') }),
      /a certificate in PEM text of sslrootcert could not be read/,
    ],
    [
      'a certificate with escaped line breaks',
      (params) => ({ ...params, sslcert: params.sslcert.replaceAll('\n', '\\n') }),
      /sslcert could not be read: .*; its line breaks are written as the two characters "\\n"/,
    ],
    [
      'a key with escaped line breaks',
      (params) => ({ ...params, sslkey: params.sslkey.replaceAll('\n', '\\n') }),
      /sslkey could not be read: .*; its line breaks are written as the two characters "\\n"/,
    ],
  ])('with %s is refused, without showing it', async (_, given, message) => {
    const error = await refusal(given(inMemory()));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
    expectNothingShownBy(error, client.key, client.cert, identity.key, authority.cert);
  });

  it.each<[string, () => ConninfoParams, RegExp]>([
    [
      'a key that lost its first line',
      () => ({ sslkey: client.key.split('\n').slice(1).join('\n') }),
      /sslkey is neither the path of a file nor PEM text/,
    ],
    [
      'bytes that are no PEM text',
      () => ({ sslkey: createPrivateKey(client.key).export({ type: 'pkcs8', format: 'der' }) }),
      /expected the bytes of the connection parameter sslkey to be PEM text/,
    ],
    ['lists in place of their directory', () => ({ sslcrldir: client.key }), /PEM text by sslcrl/],
    [
      'bytes for another parameter',
      () => ({ application_name: bytes(client.key) }) as unknown as ConninfoParams,
      /application_name to be a string, got bytes/,
    ],
    [
      'a misspelled parameter',
      () => ({ sslKey: client.key, ssl_key: client.key }) as unknown as ConninfoParams,
      /invalid connection option "sslKey"/,
    ],
  ])('is refused at once for %s, without showing it', async (_, given, message) => {
    const error = await refusal(given());
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    expect(error.message).toMatch(message);
    expectNothingShownBy(error, client.key);
    let thrown: unknown;
    try {
      new AsyncConnectionPool(given(), { open: false });
    } catch (caught) {
      thrown = caught;
    }
    expect(thrown).toBeInstanceOf(errors.ProgrammingError);
    expectNothingShownBy(thrown, client.key);
  });

  it('is in no form of a connection, a pool or a cursor that a program may print', async () => {
    const { sslkey, sslcert, sslrootcert, ...params } = inMemory();
    const sslcrl = await authority.revoke();
    const pool = new AsyncConnectionPool(
      { ...params, sslcert: bytes(sslcert), sslrootcert, sslkey: bytes(sslkey), sslcrl },
      { minSize: 1, maxSize: 1, connectOptions: { autocommit: true } },
    );
    onTestFinished(() => pool.close());
    await pool.withConnection(async (connection) => {
      const { info } = connection;
      for (const value of [pool, connection, connection.cursor(), info, info.dsn, info.getParameters()])
        expectNothingShownBy(value, sslkey, sslcert, sslrootcert, sslcrl);
      expect(JSON.stringify([info, info.getParameters()])).not.toContain('BEGIN');
      // All else is there.
      expect(conninfoToDict(info.dsn)).toMatchObject({ sslmode: 'verify-full', user: 'with_certificate' });
      const error = await rejection(connection.execute('SELECT * FROM nowhere'));
      expectNothingShownBy(error, sslkey, sslcert, sslrootcert, sslcrl);
    });
  });

  it('is in no error of a server that refuses it', async () => {
    const { cert, key } = await stranger.issue({ name: 'with_certificate' });
    const error = await refusal({ ...inMemory(), sslcert: cert, sslkey: key });
    expect(error.message).toMatch(/unknown ca/);
    expectNothingShownBy(error, cert, key);
  });
});
