import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AsyncConnection, conninfoToDict, errors, type ConninfoParams } from '../../src/index.js';
import { CertificateAuthority, type CertificateRequest, type Identity } from '../support/certificates.js';
import { rejection } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { FakeServer, messages } from '../support/fake-server.js';
import { PASSWORD_ROLE, startOwnServer, type TestServer } from '../support/server.js';
import { temporaryHome } from '../support/temporary-home.js';
import { TlsFront, type TlsFrontOptions } from '../support/tls-front.js';
import { untilRunning } from '../support/until-running.js';

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let identity: Identity;
/** The identity of the role `with_certificate`, and another that is revoked on the server. */
let client: Identity;
let revokedClient: Identity;
/** A server with TLS, and one without. */
let server: TestServer;
let plain: TestServer;
const home = temporaryHome();

beforeAll(async () => {
  authority = await CertificateAuthority.create('usingpg test authority');
  stranger = await CertificateAuthority.create('usingpg test stranger');
  identity = await authority.issue({
    name: 'irrelevant',
    altNames: [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ],
  });
  client = await authority.issue({ name: 'with_certificate' });
  revokedClient = await authority.issue({ name: 'with_certificate' });
  [server, plain] = await Promise.all([
    startOwnServer({
      settings: {
        ssl: 'on',
        ssl_cert_file: 'server.crt',
        ssl_key_file: 'server.key',
        ssl_ca_file: 'clients.crt',
        ssl_crl_file: 'clients.crl',
      },
      files: {
        'server.crt': identity.cert,
        'server.key': identity.key,
        'clients.crt': authority.cert,
        'clients.crl': await authority.revoke(revokedClient),
      },
      hba: [
        'hostssl all only_encrypted all trust',
        'hostnossl all only_encrypted all reject',
        'hostnossl all only_plain all trust',
        'hostssl all only_plain all reject',
        'hostssl all with_certificate all cert',
      ],
      sql: 'CREATE ROLE only_encrypted LOGIN; CREATE ROLE only_plain LOGIN; CREATE ROLE with_certificate LOGIN',
    }),
    startOwnServer({
      hba: ['hostssl all only_encrypted all trust', 'hostnossl all only_encrypted all reject'],
      sql: 'CREATE ROLE only_encrypted LOGIN',
    }),
  ]);
});

afterAll(async () => {
  await Promise.all([server.stop(), plain.stop()]);
});

function addressOf({ dsn }: TestServer): { host: string; port: number } {
  const { host, port } = conninfoToDict(dsn);
  return { host: host!, port: Number(port) };
}

async function connect(params: ConninfoParams): Promise<AsyncConnection> {
  const connection = await AsyncConnection.connect(
    { user: 'postgres', dbname: 'postgres', ...params },
    { autocommit: true },
  );
  onTestFinished(() => connection.close());
  return connection;
}

function refusal(params: ConninfoParams): Promise<errors.Error> {
  return rejection(connect(params));
}

/** Whether the server reports the connection as encrypted. */
async function isEncrypted(connection: AsyncConnection): Promise<boolean> {
  const cursor = await connection.execute('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  return (await cursor.fetchone())![0] as boolean;
}

describe('sslmode', () => {
  it.each([
    ['disable', 'plain'],
    ['allow', 'plain'],
    ['prefer', 'encrypted'],
    [undefined, 'encrypted'],
    ['require', 'encrypted'],
  ])('%s makes a connection to a server with TLS %s', async (sslmode, how) => {
    const connection = await connect({ ...addressOf(server), sslmode });
    expect(await isEncrypted(connection)).toBe(how === 'encrypted');
    expect(connection.info.sslInUse).toBe(how === 'encrypted');
  });

  it.each(['disable', 'allow', 'prefer', undefined])(
    '%s makes an unencrypted connection to a server without TLS',
    async (sslmode) => {
      const connection = await connect({ ...addressOf(plain), sslmode });
      expect(connection.info.sslInUse).toBe(false);
    },
  );

  it.each(['require', 'verify-ca', 'verify-full'])('%s refuses a server without TLS', async (sslmode) => {
    const sslrootcert = await home.write('root.crt', authority.cert);
    const error = await refusal({ ...addressOf(plain), sslmode, sslrootcert });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(/does not support TLS/);
  });

  it.each([
    ['allow', 'only_encrypted', true],
    ['allow', 'only_plain', false],
    ['prefer', 'only_encrypted', true],
    ['prefer', 'only_plain', false],
  ])('%s falls back to what the server allows the role %s', async (sslmode, user, encrypted) => {
    const connection = await connect({ ...addressOf(server), sslmode, user });
    expect(connection.info.sslInUse).toBe(encrypted);
  });

  it.each([
    ['disable', 'only_encrypted'],
    ['require', 'only_plain'],
  ])('%s does not fall back for the role %s', async (sslmode, user) => {
    const error = await refusal({ ...addressOf(server), sslmode, user });
    expect(error.sqlstate).toBe('28000');
    expect(error.message).toMatch(/pg_hba.conf rejects connection/);
  });

  it('prefer does not repeat a refused attempt without TLS', async () => {
    const error = await refusal({ ...addressOf(plain), sslmode: 'prefer', user: 'only_encrypted' });
    expect(error.sqlstate).toBe('28000');
    expect(error.cause).not.toBeInstanceOf(AggregateError);
  });

  it.each([
    ['allow', 'require'],
    ['prefer', 'nonsense'],
  ])('%s names both failures if both ways fail', async (sslmode, password) => {
    const error = await refusal({
      ...addressOf(server),
      sslmode,
      user: PASSWORD_ROLE.user,
      password,
    });
    expect(error).toBeInstanceOf(errors.InvalidPassword);
    expect((error.cause as AggregateError).errors).toHaveLength(2);
    expect(error.message).not.toContain(password === 'require' ? ': require' : password);
  });

  it('does not apply to a Unix socket', async () => {
    const connection = await connect({
      host: server.socketDirectory,
      port: addressOf(server).port,
      sslmode: 'verify-full',
    });
    expect(connection.info.sslInUse).toBe(false);
    expect(connection.info.hostaddr).toBe('');
  });
});

describe('the certificate of the server', () => {
  /** A server with another certificate, which does not know of the TLS in front of it. */
  async function front(
    request: CertificateRequest,
    options: TlsFrontOptions & { by?: CertificateAuthority } = {},
  ): Promise<TlsFront> {
    const issued = await (options.by ?? authority).issue(request);
    const made = await TlsFront.to(addressOf(plain), issued, options);
    onTestFinished(() => made[Symbol.asyncDispose]());
    return made;
  }

  const forLocalhost: CertificateRequest = {
    name: 'irrelevant',
    altNames: [{ type: 'dns', value: 'localhost' }],
  };

  it.each(['verify-ca', 'verify-full'])('satisfies %s if it is valid', async (sslmode) => {
    const sslrootcert = await home.write('root.crt', authority.cert);
    for (const host of ['localhost', '127.0.0.1']) {
      const connection = await connect({
        host,
        hostaddr: '127.0.0.1',
        port: addressOf(server).port,
        sslmode,
        sslrootcert,
      });
      expect(await isEncrypted(connection)).toBe(true);
    }
  });

  it.each([
    ['disable', false, 'plain'],
    ['allow', false, 'plain'],
    ['prefer', false, 'encrypted'],
    ['require', false, 'encrypted'],
    ['verify-ca', false, 'refused'],
    ['verify-full', false, 'refused'],
    ['allow', true, 'plain'],
    ['prefer', true, 'plain'],
    ['require', true, 'refused'],
    ['verify-ca', true, 'refused'],
    ['verify-full', true, 'refused'],
  ] as const)(
    'of an unknown authority, with sslmode=%s and a root certificate file: %s, is %s',
    async (sslmode, hasRoot, outcome) => {
      if (hasRoot) await home.write('.postgresql/root.crt', authority.cert);
      const { port } = await front(forLocalhost, { by: stranger });
      const params = { host: 'localhost', hostaddr: '127.0.0.1', port, sslmode };
      if (outcome === 'refused') {
        const error = await refusal(params);
        expect(error).toBeInstanceOf(errors.OperationalError);
        expect(error.message).toMatch(hasRoot ? /signed by no authority/ : /root\.crt" does not exist/);
      } else {
        expect((await connect(params)).info.sslInUse).toBe(outcome === 'encrypted');
      }
    },
  );

  it.each([
    ['verify-ca', 'taken'],
    ['verify-full', 'refused'],
  ])('for another name is, with sslmode=%s, %s', async (sslmode, outcome) => {
    const sslrootcert = await home.write('root.crt', authority.cert);
    const { port } = await front({ name: 'localhost', altNames: [{ type: 'dns', value: 'db.example' }] });
    const params = { host: 'localhost', hostaddr: '127.0.0.1', port, sslmode, sslrootcert };
    if (outcome === 'taken') {
      expect((await connect(params)).info.sslInUse).toBe(true);
      return;
    }
    const { message } = await refusal(params);
    expect(message).toMatch(/certificate is for DNS:db\.example, not for the host name "localhost"/);
  });

  it.each<[string, string, CertificateRequest, boolean]>([
    ['a wildcard', 'a.db.example', { name: 'x', altNames: [{ type: 'dns', value: '*.db.example' }] }, true],
    [
      'two labels',
      'a.b.db.example',
      { name: 'x', altNames: [{ type: 'dns', value: '*.db.example' }] },
      false,
    ],
    ['no label', 'db.example', { name: 'x', altNames: [{ type: 'dns', value: '*.db.example' }] }, false],
    [
      'a part of one',
      'abc.db.example',
      { name: 'x', altNames: [{ type: 'dns', value: 'a*.db.example' }] },
      false,
    ],
    ['capitals', 'DB.Example', { name: 'x', altNames: [{ type: 'dns', value: 'db.example' }] }, true],
    ['the common name', 'db.example', { name: 'db.example' }, true],
    [
      'the common name, with an address',
      'db.example',
      { name: 'db.example', altNames: [{ type: 'ip', value: '127.0.0.1' }] },
      true,
    ],
    ['no name', '127.0.0.1', { name: 'x', altNames: [{ type: 'dns', value: 'localhost' }] }, false],
    ['an address', '127.0.0.1', { name: 'x', altNames: [{ type: 'ip', value: '127.0.0.1' }] }, true],
    ['another address', '127.0.0.1', { name: 'x', altNames: [{ type: 'ip', value: '127.0.0.2' }] }, false],
    [
      'another address, and itself as common name',
      '127.0.0.1',
      { name: '127.0.0.1', altNames: [{ type: 'ip', value: '127.0.0.2' }] },
      false,
    ],
    [
      'an address among the names',
      '127.0.0.1',
      { name: 'x', altNames: [{ type: 'dns', value: '127.0.0.1' }] },
      true,
    ],
    [
      'an address as common name',
      '127.0.0.1',
      { name: '127.0.0.1', altNames: [{ type: 'dns', value: 'db.example' }] },
      true,
    ],
    ['an IPv6 address', '::1', { name: 'x', altNames: [{ type: 'ip', value: '::1' }] }, true],
    [
      'an IPv6 address, written at length',
      '0:0:0:0:0:0:0:1',
      { name: 'x', altNames: [{ type: 'ip', value: '::1' }] },
      true,
    ],
    [
      'a name that begins with a dot',
      '.db.example',
      { name: 'x', altNames: [{ type: 'dns', value: 'a.db.example' }] },
      false,
    ],
  ])('with %s, where the host is %s, is compared as libpq does', async (_, host, request, fits) => {
    const sslrootcert = await home.write('root.crt', authority.cert);
    const { port } = await front(request);
    const params = { host, hostaddr: '127.0.0.1', port, sslmode: 'verify-full', sslrootcert };
    if (fits) expect((await connect(params)).info.host).toBe(host);
    else expect((await refusal(params)).message).toContain(`not for the host name "${host}"`);
  });

  it('that has expired is reported as such', async () => {
    const sslrootcert = await home.write('root.crt', authority.cert);
    const { port } = await front({ ...forLocalhost, days: -1 });
    const error = await refusal({
      host: 'localhost',
      hostaddr: '127.0.0.1',
      port,
      sslmode: 'verify-ca',
      sslrootcert,
    });
    expect(error.message).toMatch(/has expired/);
  });

  describe('that may have been revoked', () => {
    let revoked: Identity;
    let params: ConninfoParams;

    beforeEach(async () => {
      revoked = await authority.issue(forLocalhost);
      const made = await TlsFront.to(addressOf(plain), revoked);
      onTestFinished(() => made[Symbol.asyncDispose]());
      params = {
        host: 'localhost',
        hostaddr: '127.0.0.1',
        port: made.port,
        sslmode: 'verify-full',
        sslrootcert: await home.write('root.crt', authority.cert),
      };
    });

    it('is refused if sslcrl contains it, also in the second list of its file', async () => {
      const lists = `${await stranger.revoke()}\n${await authority.revoke(revoked)}`;
      const error = await refusal({ ...params, sslcrl: await home.write('some.crl', lists) });
      expect(error.message).toMatch(/has been revoked/);
    });

    it('is refused if a file of sslcrldir contains it', async () => {
      await home.write('lists/0123abcd.r0', await authority.revoke(revoked));
      const error = await refusal({ ...params, sslcrldir: join(home.path, 'lists') });
      expect(error.message).toMatch(/has been revoked/);
    });

    it('is refused if the default file contains it', async () => {
      await home.write('.postgresql/root.crl', await authority.revoke(revoked));
      expect((await refusal(params)).message).toMatch(/has been revoked/);
    });

    it('is accepted if the list contains only others', async () => {
      const connection = await connect({
        ...params,
        sslcrl: await home.write('some.crl', await authority.revoke(client)),
      });
      expect(connection.info.sslInUse).toBe(true);
    });

    it('is refused if there is no list of its issuer', async () => {
      const error = await refusal({
        ...params,
        sslcrl: await home.write('some.crl', await stranger.revoke()),
      });
      expect(error.message).toMatch(/no certificate revocation list of the server certificate's issuer/);
    });

    it.each([
      ['sslcrl', 'missing.crl', /"[^"]*missing.crl" does not exist/],
      ['sslcrldir', 'missing', /"[^"]*missing" can't be read/],
      ['sslcrldir', '.', /has no certificate revocation list/],
    ])('is not accepted unchecked if %s is %j', async (name, path, message) => {
      expect((await refusal({ ...params, [name]: join(home.path, path) })).message).toMatch(message);
    });
  });

  it('is not requested by name if sslsni=0, nor if the host is an address', async () => {
    const made = await front(forLocalhost);
    const address = { hostaddr: '127.0.0.1', port: made.port, sslmode: 'require' };
    await connect({ ...address, host: 'localhost' });
    await connect({ ...address, host: 'localhost', sslsni: 0 });
    await connect({ ...address, host: '127.0.0.1' });
    expect(made.serverNames).toEqual(['localhost', false, false]);
  });

  it('of an authority that Node was told to trust is accepted with sslrootcert=system', async () => {
    const { port } = await front(forLocalhost);
    const program = `
      import { AsyncConnection } from './src/index.ts';
      const address = { hostaddr: '127.0.0.1', port: ${String(port)}, user: 'postgres', sslrootcert: 'system' };
      const connection = await AsyncConnection.connect({ ...address, host: 'localhost' });
      console.log(connection.info.sslInUse);
      await connection.close();
      await AsyncConnection.connect({ ...address, host: 'elsewhere' }).catch(({ message }) => console.log(message));`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: await home.write('trusted.crt', authority.cert) } },
    );
    expect(stdout).toMatch(/^true\n.*not for the host name "elsewhere"\n$/s);
  });

  it('of an authority that Node does not trust is refused with sslrootcert=system', async () => {
    const { port } = await front(forLocalhost);
    const error = await refusal({ host: 'localhost', hostaddr: '127.0.0.1', port, sslrootcert: 'system' });
    expect(error.message).toMatch(/signed by no authority in the system's store, .* NODE_EXTRA_CA_CERTS/);
  });

  it.each([
    ['nothing', /has no certificate in PEM format/],
    ['-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n', /could not be read/],
  ])('is not verified by a root certificate file of %j', async (content, message) => {
    const sslrootcert = await home.write('root.crt', content);
    const error = await refusal({ ...addressOf(server), sslmode: 'verify-ca', sslrootcert });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
  });
});

describe('the certificate of the client', () => {
  let params: ConninfoParams;

  beforeEach(() => {
    params = { ...addressOf(server), sslmode: 'require', user: 'with_certificate' };
  });

  it('is sent if it is configured', async () => {
    const connection = await connect({
      ...params,
      sslcert: await home.write('client.crt', client.cert),
      sslkey: await home.write('client.key', client.key),
    });
    expect(connection.info.user).toBe('with_certificate');
  });

  it('is sent if it is in the default file, unless sslcertmode=disable', async () => {
    await home.write('.postgresql/postgresql.crt', client.cert);
    await home.write('.postgresql/postgresql.key', client.key);
    await connect(params);
    const error = await refusal({ ...params, sslcertmode: 'disable' });
    expect(error.message).toMatch(/requires a valid client certificate/);
  });

  it('may be missing, even if it is configured: then the server decides', async () => {
    const sslcert = join(home.path, 'missing.crt');
    expect((await refusal({ ...params, sslcert })).message).toMatch(/requires a valid client certificate/);
    await connect({ ...params, user: 'postgres', sslcert });
  });

  it.each([
    ['PEM', 'pem', 'hunter2'],
    ['DER', 'der', undefined],
    ['encrypted DER', 'der', 'hunter2'],
  ] as const)('may have its key in %s', async (_, format, sslpassword) => {
    const key = createPrivateKey(client.key).export({
      type: 'pkcs8',
      ...(sslpassword === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: sslpassword }),
      format: format as 'der',
    });
    const connection = await connect({
      ...params,
      sslcert: await home.write('client.crt', client.cert),
      sslkey: await home.write('client.key', key),
      sslpassword,
    });
    expect(connection.info.dsn).not.toContain('hunter2');
    expect(JSON.stringify(connection.info.getParameters())).not.toContain('hunter2');
  });

  it.each([
    ['hunter3', /sslpassword does not open it/],
    [undefined, /there is no sslpassword/],
  ])('whose key cannot be decrypted with %s is reported', async (sslpassword, message) => {
    const key = createPrivateKey(client.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'hunter2',
    });
    const error = await refusal({
      ...params,
      sslcert: await home.write('client.crt', client.cert),
      sslkey: await home.write('client.key', key),
      sslpassword,
    });
    expect(error.message).toMatch(message);
    expect(String(error.stack)).not.toContain('hunter');
  });

  it.each([
    [0o640, 0],
    [0o600, 0],
    [0o644, null],
    [0o660, null],
  ])('has a key file that only root may share with a group: mode %o', async (mode, uid) => {
    const sslcert = await home.write('client.crt', client.cert);
    const sslkey = await home.write('client.key', client.key, mode);
    // The user that runs the tests owns the file.
    const allowed = uid === 0 && (mode === 0o600 || process.getuid?.() === 0);
    if (allowed) await connect({ ...params, sslcert, sslkey });
    else expect((await refusal({ ...params, sslcert, sslkey })).message).toMatch(/has group or world access/);
  });

  it('without its key is refused before anything is sent', async () => {
    const sslcert = await home.write('client.crt', client.cert);
    const missing = await refusal({ ...params, sslcert });
    expect(missing.message).toMatch(/is present, but not its private key file/);
    const directory = await refusal({ ...params, sslcert, sslkey: home.path });
    expect(directory.message).toMatch(/is not a regular file/);
    const other = await authority.issue({ name: 'other' });
    const wrong = await refusal({ ...params, sslcert, sslkey: await home.write('other.key', other.key) });
    expect(wrong.message).toMatch(/does not belong to the certificate/);
  });

  it.each([
    ['that is revoked', () => revokedClient, /certificate revoked/],
    ['from a stranger', () => stranger.issue({ name: 'with_certificate' }), /unknown ca/],
  ])('%s is refused by the server, and the message reports it', async (_, issue, message) => {
    const issued = await issue();
    const error = await refusal({
      ...params,
      sslcert: await home.write('client.crt', issued.cert),
      sslkey: await home.write('client.key', issued.key),
    });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
  });
});

describe('the start of TLS', () => {
  const version = async (connection: AsyncConnection): Promise<unknown> =>
    (await (
      await connection.execute('SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    ).fetchone())![0];

  it('the versions are those between ssl_min_protocol_version and ssl_max_protocol_version', async () => {
    const params = { ...addressOf(server), sslmode: 'require' };
    expect(await version(await connect(params))).toBe('TLSv1.3');
    expect(await version(await connect({ ...params, ssl_max_protocol_version: 'TLSv1.2' }))).toBe('TLSv1.2');
    expect(await version(await connect({ ...params, ssl_min_protocol_version: 'tlsv1.3' }))).toBe('TLSv1.3');
  });

  it('sslnegotiation=direct begins with the handshake', async () => {
    const issued = await authority.issue({ name: 'localhost' });
    await using front = await TlsFront.to(addressOf(plain), issued, { direct: true });
    const connection = await connect({
      host: 'localhost',
      hostaddr: '127.0.0.1',
      port: front.port,
      sslmode: 'verify-full',
      sslrootcert: await home.write('root.crt', authority.cert),
      sslnegotiation: 'direct',
    });
    expect(connection.info.sslInUse).toBe(true);
    await connection.close();
  });

  it('sslnegotiation=direct requires the ALPN protocol', async () => {
    await using front = await TlsFront.to(addressOf(plain), identity, { direct: true, alpn: [] });
    const error = await refusal({
      host: '127.0.0.1',
      port: front.port,
      sslmode: 'require',
      sslnegotiation: 'direct',
    });
    expect(error.message).toMatch(/ALPN/);
  });

  it('sslnegotiation=direct works with a server that supports it, and fails with one without TLS', async () => {
    const { serverVersion } = (await connect(addressOf(server))).info;
    const direct = { sslmode: 'require', sslnegotiation: 'direct' };
    if (serverVersion >= 170_000) {
      expect(await isEncrypted(await connect({ ...addressOf(server), ...direct }))).toBe(true);
    }
    const error = await refusal({ ...addressOf(plain), ...direct });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.cause).not.toBeInstanceOf(AggregateError);
  });

  it.each([
    ['with an error', messages.error('FATAL', '53300', 'from an impostor'), /with an error/],
    ['with garbage', Buffer.from('HTTP/1.1 400 Bad Request'), /does not speak the PostgreSQL protocol/],
    ['with one wrong byte', Buffer.from('X'), /does not speak the PostgreSQL protocol/],
    ['S and more', Buffer.concat([Buffer.from('S'), messages.authenticationOk]), /unencrypted data/],
    ['N and more', Buffer.concat([Buffer.from('N'), messages.authenticationOk]), /unencrypted data/],
  ])('a server that answers the request %s is refused at once', async (_, answer, message) => {
    for (const sslmode of ['prefer', 'require']) {
      await using fake = await FakeServer.running(
        async (peer) => {
          await peer.until(8);
          peer.send(answer);
        },
        { scriptSeesTlsRequest: true },
      );
      const error = await refusal({ host: '127.0.0.1', port: fake.port, sslmode });
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain('impostor');
      expect(fake.accepted).toBe(1);
    }
  });

  it('a server that accepts TLS and then stays silent is abandoned after connect_timeout', async () => {
    await using fake = await FakeServer.running(
      async (peer) => {
        await peer.until(8);
        peer.send(Buffer.from('S'));
      },
      { scriptSeesTlsRequest: true },
    );
    const error = await refusal({
      host: '127.0.0.1',
      port: fake.port,
      sslmode: 'require',
      connect_timeout: 2,
    });
    expect(error).toBeInstanceOf(errors.ConnectionTimeout);
  });

  it('a server that accepts TLS and closes is tried without TLS only by prefer', async () => {
    for (const sslmode of ['prefer', 'require']) {
      await using fake = await FakeServer.running(
        async (peer) => {
          await peer.until(8);
          peer.send(Buffer.from('S'));
          peer.socket.end();
        },
        { scriptSeesTlsRequest: true },
      );
      const error = await refusal({ host: '127.0.0.1', port: fake.port, sslmode });
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(fake.accepted).toBe(sslmode === 'prefer' ? 2 : 1);
    }
  });

  it('a handshake cut at any point is abandoned, and prefer tries once more without TLS', async () => {
    await using whole = await FaultProxy.to(addressOf(server));
    const good = await connect({ host: '127.0.0.1', port: whole.port, sslmode: 'require' });
    // Signatures differ by a few bytes.
    const total = whole.connections[0]!.bytes.down - 40;
    await good.close();
    for (const sslmode of ['require', 'prefer']) {
      for (let cut = 0; cut < total; cut += Math.ceil(total / 20)) {
        await using proxy = await FaultProxy.to(addressOf(server));
        const connecting = refusal({ host: '127.0.0.1', port: proxy.port, sslmode, connect_timeout: 5 });
        while (proxy.connections.length === 0) await new Promise((resolve) => setImmediate(resolve));
        const [first] = proxy.connections;
        first!.cutAfter(cut, 'down');
        // Refusing the second attempt is equivalent to closing it.
        proxy.refuse();
        const error = await connecting;
        expect(error).toBeInstanceOf(errors.OperationalError);
        expect(proxy.connections).toHaveLength(1);
      }
    }
  });

  it('aborting the signal during the handshake leaves no socket behind', async () => {
    await using fake = await FakeServer.running(
      async (peer) => {
        await peer.until(8);
        peer.send(Buffer.from('S'));
      },
      { scriptSeesTlsRequest: true },
    );
    const reason = new Error('enough');
    const controller = new AbortController();
    const connecting = AsyncConnection.connect(
      { host: '127.0.0.1', port: fake.port, user: 'u', sslmode: 'require' },
      { signal: controller.signal },
    );
    setTimeout(() => {
      controller.abort(reason);
    }, 50);
    await expect(connecting).rejects.toBe(reason);
  });
});

describe('a connection over TLS', () => {
  it('carries statements, large results and COPY', async () => {
    const connection = await connect({ ...addressOf(server), sslmode: 'require' });
    const cursor = await connection.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i");
    expect(await cursor.fetchall()).toHaveLength(20_000);
    await connection.execute('CREATE TEMPORARY TABLE copied (i int, t text)');
    await connection.cursor().withCopy('COPY copied FROM STDIN', async (copy) => {
      for (let i = 0; i < 20_000; i++) await copy.writeRow([i, 'y'.repeat(100)]);
    });
    let rows = 0;
    await connection.cursor().withCopy('COPY copied TO STDOUT', async (copy) => {
      for await (const _ of copy.rows()) rows++;
    });
    expect(rows).toBe(20_000);
  });

  it('sends its cancel requests over TLS, to the same address', async () => {
    await using front = await TlsFront.to(addressOf(server), identity);
    const connection = await connect({ host: '127.0.0.1', port: front.port, sslmode: 'require' });
    const running = connection.execute('SELECT pg_sleep(30)');
    const cancelled = expect(running).rejects.toBeInstanceOf(errors.QueryCanceled);
    await untilRunning(server.dsn, connection.info.backendPid);
    await connection.cancelSafe();
    await cancelled;
    expect(front.forwarded).toEqual({ encrypted: 2, plain: 0 });
    await connection.close();
  });

  it('that is unencrypted because the server has no TLS sends its cancel requests unencrypted', async () => {
    const connection = await connect(addressOf(plain));
    const running = connection.execute('SELECT pg_sleep(30)');
    const cancelled = expect(running).rejects.toBeInstanceOf(errors.QueryCanceled);
    await untilRunning(plain.dsn, connection.info.backendPid);
    await connection.cancelSafe();
    await cancelled;
  });

  it('is lost like any other', async () => {
    const connection = await connect({ ...addressOf(server), sslmode: 'require' });
    const other = await connect(addressOf(server));
    const running = connection.execute('SELECT pg_sleep(30)');
    const lost = expect(running).rejects.toMatchObject({ sqlstate: '57P01' });
    await other.execute('SELECT pg_terminate_backend(%s)', [connection.info.backendPid]);
    await lost;
    expect(connection.broken).toBe(true);
  });
});
