import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { AsyncConnection, conninfoToDict, errors, type ConninfoParams } from '../../src/index.js';
import { CertificateAuthority, type Identity } from '../support/certificates.js';
import { rejection } from '../support/database.js';
import { FakeServer, int32, message, messages, welcome, type FakeClient } from '../support/fake-server.js';
import { startOwnServer, type TestServer } from '../support/server.js';
import { TlsFront } from '../support/tls-front.js';

const PASSWORD = 'hunter2, and more';
const METHODS = ['password', 'md5', 'scram-sha-256'] as const;

let server: TestServer;
let identity: Identity;

beforeAll(async () => {
  // SHA-384, so that the binding uses a hash of unusual length.
  const authority = await CertificateAuthority.create('usingpg test authority', 'P-384');
  identity = await authority.issue({ name: 'localhost' });
  server = await startOwnServer({
    settings: {
      ssl: 'on',
      ssl_cert_file: 'server.crt',
      ssl_key_file: 'server.key',
      password_encryption: 'md5',
    },
    files: { 'server.crt': identity.cert, 'server.key': identity.key },
    hba: [
      'host all by_password all password',
      'host all by_md5 all md5',
      'host all by_scram all scram-sha-256',
      ...PASSWORDS.map((_, i) => `host all unicode_${String(i)} all scram-sha-256`),
    ],
    sql: [
      `CREATE ROLE by_none LOGIN`,
      `CREATE ROLE by_md5 LOGIN PASSWORD '${PASSWORD}'`,
      `SET password_encryption = 'scram-sha-256'`,
      `CREATE ROLE by_password LOGIN PASSWORD '${PASSWORD}'`,
      `CREATE ROLE by_scram LOGIN PASSWORD '${PASSWORD}'`,
      ...PASSWORDS.map(([set], i) => `CREATE ROLE unicode_${String(i)} LOGIN PASSWORD '${set}'`),
    ].join(';'),
  });
});

afterAll(() => server.stop());

/** A password as it is set, which the server prepares itself, and others that are equivalent. */
const PASSWORDS: readonly (readonly [set: string, ...same: string[]])[] = [
  ['I\u00adX', 'IX', '\u2168', 'I\u200dX'],
  ['\u00aa', 'a'],
  ['caf\u00e9', 'cafe\u0301'],
  ['a\u00a0b', 'a b', 'a\u3000b'],
  ['\uff21\uff22', 'AB'],
  ['\u0627\u0031\u0628', '\u0627\u0031\u0628'],
  ['\u0627\u0031'],
  ['\u0627A'],
  ['a\u0007\u2168'],
  ['\ue000\u2168'],
  ['\u2028\u2168'],
  ['p\u00e4ss \ud83d\ude00 w\u00f6rd'],
  ['\u00ad'],
];

function connect(params: ConninfoParams): Promise<AsyncConnection> {
  const { host, port } = conninfoToDict(server.dsn);
  return AsyncConnection.connect({ host, port, dbname: 'postgres', ...params }).then((connection) => {
    onTestFinished(() => connection.close());
    return connection;
  });
}

async function refusal(params: ConninfoParams): Promise<errors.Error> {
  const error = await rejection(connect(params));
  const { message: text, stack, cause } = error;
  expect(`${text} ${String(stack)} ${String(cause)} ${JSON.stringify(error)}`).not.toContain('hunter2');
  return error;
}

describe('a password', () => {
  it.each(METHODS)('opens the connection where the server asks for %s', async (method) => {
    const user = `by_${method.replace(/-.*/, '')}`;
    for (const sslmode of ['disable', 'require']) {
      const connection = await connect({ user, password: PASSWORD, sslmode });
      expect(connection.info.user).toBe(user);
    }
    const wrong = await refusal({ user, password: 'hunter2', sslmode: 'disable' });
    expect(wrong).toBeInstanceOf(errors.InvalidPassword);
    const missing = await refusal({ user, sslmode: 'disable' });
    expect(missing.message).toMatch(/asks for a password and none was given/);
  });

  it('is the same for equivalent characters', async () => {
    for (const [i, same] of PASSWORDS.entries()) {
      for (const password of same) {
        await using connection = await connect({
          user: `unicode_${String(i)}`,
          password,
          sslmode: 'disable',
        });
        expect(connection.closed).toBe(false);
      }
    }
  });
});

describe('require_auth', () => {
  const ALL = ['none', ...METHODS] as const;
  const userOf = (method: string): string => `by_${method.replace(/-.*/, '')}`;

  for (const [require_auth, allowed] of [
    ['password', ['password']],
    ['md5', ['md5']],
    ['scram-sha-256', ['scram-sha-256']],
    ['none', ['none']],
    ['scram-sha-256,md5', ['scram-sha-256', 'md5']],
    ['!password', ['none', 'md5', 'scram-sha-256']],
    ['!none,!md5', ['password', 'scram-sha-256']],
    ['gss,sspi', []],
  ] as const) {
    it(`=${require_auth} lets the server ask for ${allowed.join(' and ') || 'no supported method'}`, async () => {
      for (const method of ALL) {
        const params = { user: userOf(method), password: PASSWORD, require_auth, sslmode: 'disable' };
        if ((allowed as readonly string[]).includes(method)) {
          await connect(params);
        } else {
          const error = await refusal(params);
          expect(error).toBeInstanceOf(errors.OperationalError);
          expect(error.message).toMatch(/which require_auth does not allow/);
        }
      }
    });
  }

  it.each([
    ['password,!md5', /mixes methods/],
    ['!password,md5', /mixes methods/],
    ['md5,md5', /more than once/],
    ['password,', /invalid value ""/],
    ['kerberos', /invalid value "kerberos"/],
    ['!', /invalid value "!"/],
  ])('=%s is invalid', async (require_auth, text) => {
    const error = await refusal({ user: 'by_none', require_auth });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(text);
  });

  it('keeps a password from a server that asks for it in clear text', async () => {
    await using fake = await FakeServer.running(async (client) => {
      await client.until(1);
      client.send(message('R', int32(3)));
      await client.until(100);
    });
    const startup = refusal({
      host: '127.0.0.1',
      port: fake.port,
      user: 'u',
      password: PASSWORD,
      require_auth: 'scram-sha-256',
    });
    expect((await startup).message).toMatch(/asks for authentication by password/);
  });
});

describe('channel binding', () => {
  const params = { user: 'by_scram', password: PASSWORD };

  it('is used over TLS, whether it is required or not', async () => {
    for (const channel_binding of ['require', 'prefer', 'disable']) {
      await connect({ ...params, sslmode: 'require', channel_binding });
    }
  });

  it.each([
    ['without TLS', { sslmode: 'disable' }, /the connection is not encrypted/],
    ['with a password sent as it is', { user: 'by_password', sslmode: 'require' }, /needs SCRAM/],
    ['with md5', { user: 'by_md5', sslmode: 'require' }, /needs SCRAM/],
    ['with a server that asks for no authentication', { user: 'by_none', sslmode: 'require' }, /needs SCRAM/],
  ])('is impossible %s', async (_, more, text) => {
    const error = await refusal({ ...params, channel_binding: 'require', ...more });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(text);
  });

  describe('detects a man in the middle', () => {
    const between = async (encryptsUpstream: boolean): Promise<number> => {
      const stranger = await CertificateAuthority.create('usingpg test stranger');
      const { host, port } = conninfoToDict(server.dsn);
      const front = await TlsFront.to(
        { host: host!, port: Number(port) },
        await stranger.issue({ name: 'localhost' }),
        { encryptsUpstream },
      );
      onTestFinished(() => front[Symbol.asyncDispose]());
      return front.port;
    };

    it('who relays the messages of both, even if it is not required', async () => {
      const port = await between(true);
      for (const channel_binding of ['prefer', 'require']) {
        const error = await refusal({ ...params, port, sslmode: 'require', channel_binding });
        expect(error.message).toMatch(/channel binding check failed/);
      }
      // Without channel binding, the relay succeeds.
      await connect({ ...params, port, sslmode: 'require', channel_binding: 'disable' });
    });

    it('who does not use TLS to the server, if it is required', async () => {
      const port = await between(false);
      const error = await refusal({ ...params, port, sslmode: 'require', channel_binding: 'require' });
      expect(error.message).toMatch(/the server does not offer it/);
    });

    it('who removes TLS from the client’s side', async () => {
      await using fake = await FakeServer.running(async (client) => {
        await client.until(1);
        client.send(message('R', int32(10), 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'));
      });
      const error = await refusal({ host: '127.0.0.1', port: fake.port, ...params });
      expect(error.message).toMatch(/a proxy or attacker on the way has removed TLS/);
    });
  });
});

/** A server's part of SCRAM, which is correct except for what the script changes. */
interface ScramScript {
  nonce?(ours: string): string;
  iterations?: number | string;
  first?(message: string): string;
  final?(message: string): string | null;
}

function scramServer(script: ScramScript) {
  const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  return async (client: FakeClient): Promise<void> => {
    await client.until(1);
    let seen = client.received().length;
    const next = async (): Promise<Buffer> => {
      await client.until(seen + 5);
      const length = client.received().readInt32BE(seen + 1) + 1;
      await client.until(seen + length);
      seen += length;
      return client.received().subarray(seen - length + 5, seen);
    };
    client.send(messages.authenticationSasl);
    const clientFirst = (await next()).toString().replace(/^[^\0]*\0.{4}n,,/s, '');
    const nonce = (script.nonce ?? ((ours) => `${ours}server`))(
      /r=(?<nonce>.*)$/.exec(clientFirst)!.groups!['nonce']!,
    );
    const iterations = script.iterations ?? 4096;
    const plain = `r=${nonce},s=${Buffer.from('some salt').toString('base64')},i=${String(iterations)}`;
    const serverFirst = (script.first ?? ((text) => text))(plain);
    client.send(messages.authenticationSaslContinue(serverFirst));
    const clientFinal = (await next()).toString();
    const salted = pbkdf2Sync(PASSWORD, 'some salt', Number(iterations), 32, 'sha256');
    const all = `${clientFirst},${serverFirst},${clientFinal.replace(/,p=.*$/, '')}`;
    const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest();
    const proof = Buffer.from(/p=(?<proof>.*)$/.exec(clientFinal)!.groups!['proof']!, 'base64');
    const key = hmac(storedKey, all).map((byte, i) => byte ^ proof[i]!);
    expect(createHash('sha256').update(key).digest()).toEqual(storedKey);
    const final = (script.final ?? ((text) => text))(
      `v=${hmac(hmac(salted, 'Server Key'), all).toString('base64')}`,
    );
    if (final !== null) client.send(messages.authenticationSaslFinal(final));
    client.send(welcome());
  };
}

describe('a server that speaks SCRAM', () => {
  const params = { host: '127.0.0.1', user: 'u', password: PASSWORD };

  it.each<[string, ScramScript]>([
    ['as it should', {}],
    ['with one iteration', { iterations: 1 }],
    ['with a nonce of its own that is short', { nonce: (ours) => `${ours}!` }],
  ])('%s is accepted', async (_, script) => {
    await using fake = await FakeServer.running(scramServer(script));
    const connection = await connect({ ...params, port: fake.port });
    expect(connection.info.backendPid).toBe(4242);
    await connection.close();
    expect(fake.scriptErrors).toEqual([]);
  });

  it.each<[string, ScramScript, RegExp]>([
    ['with a nonce that is not ours', { nonce: () => 'something-else' }, /does not extend the nonce/],
    ['with our nonce alone', { nonce: (ours) => ours }, /does not extend the nonce/],
    ['with our nonce at the end', { nonce: (ours) => `server${ours}` }, /does not extend the nonce/],
    ['without iterations', { iterations: 0 }, /malformed/],
    ['with iterations that are no number', { iterations: '1e3' }, /malformed/],
    ['with too many iterations', { iterations: 2_000_000_000 }, /2000000000 SCRAM iterations/],
    ['with a second nonce', { first: (text) => `${text},r=other` }, /malformed/],
    ['with an extension that has to be understood', { first: (text) => `m=x,${text}` }, /malformed/],
    ['with no salt', { first: (text) => text.replace(/s=[^,]*/, 's=') }, /malformed/],
    ['with a wrong signature', { final: () => `v=${Buffer.alloc(32).toString('base64')}` }, /impostor/],
    ['with half a signature', { final: (text) => text.slice(0, 22) }, /impostor/],
    ['with an error in place of a signature', { final: () => 'e=other-error' }, /impostor/],
    ['without a signature', { final: () => null }, /impostor/],
  ])('%s is refused', async (_, script, text) => {
    await using fake = await FakeServer.running(scramServer(script));
    const error = await refusal({ ...params, port: fake.port });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(text);
    expect(fake.accepted).toBe(1);
  });
});

describe('a server that sends messages out of order', () => {
  const sasl = messages.authenticationSasl;
  const ready = welcome().subarray(messages.authenticationOk.length);

  it.each<[string, Buffer, RegExp]>([
    ['is ready before it has let us in', ready, /before it had let us in/],
    ['asks for SCRAM and lets us in', Buffer.concat([sasl, welcome()]), /impostor/],
    ['asks twice', Buffer.concat([sasl, sasl]), /out of its order/],
    [
      'asks for SCRAM and then for the password',
      Buffer.concat([sasl, message('R', int32(3))]),
      /out of its order/,
    ],
    [
      'goes on with SCRAM that was not begun',
      messages.authenticationSaslContinue('r=x,s=x,i=1'),
      /out of its order/,
    ],
    ['ends SCRAM that was not begun', messages.authenticationSaslFinal('v=x'), /out of its order/],
    [
      'lets us in twice',
      Buffer.concat([messages.authenticationOk, messages.authenticationOk]),
      /out of its order/,
    ],
    ['offers only unknown mechanisms', message('R', int32(10), 'SCRAM-SHA-512\0\0'), /only SCRAM-SHA-512/],
    ['asks for nothing at all', message('R'), /malformed authentication message/],
  ])('one that %s is refused', async (_, answer, text) => {
    await using fake = await FakeServer.running(async (client) => {
      await client.until(1);
      client.send(answer);
    });
    const error = await refusal({ host: '127.0.0.1', port: fake.port, user: 'u', password: PASSWORD });
    expect(error).toBeInstanceOf(errors.DatabaseError);
    expect(error.message).toMatch(text);
  });
});
