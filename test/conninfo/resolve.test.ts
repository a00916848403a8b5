import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type {
  ConninfoParams,
  ResolvedConninfo,
  ResolvedHost,
  TlsSettings,
} from '../../src/conninfo/index.js';
import { resolveConninfo } from '../../src/conninfo/resolve.js';
import { errors } from '../../src/index.js';
import { rejection } from '../support/database.js';
import { temporaryHome } from '../support/temporary-home.js';
import { warningsOf } from '../support/warnings.js';

const home = temporaryHome();

/** Resolves parameters with a single host. */
async function resolveHost(conninfo?: string | ConninfoParams): Promise<ResolvedConninfo & ResolvedHost> {
  const resolved = await resolveConninfo(conninfo);
  expect(resolved.hosts).toHaveLength(1);
  return { ...resolved, ...resolved.hosts[0]! };
}

function refusal(conninfo: string | ConninfoParams): Promise<errors.Error> {
  return rejection(resolveConninfo(conninfo));
}

describe('parameters that are not given', () => {
  it('have libpq’s defaults', async () => {
    const { user, dbname, port, hostaddr, password, connectTimeout, keepalives, params } =
      await resolveHost('host=localhost');
    const { username } = userInfo();
    expect({ user, dbname, port, hostaddr, password, connectTimeout }).toEqual({
      user: username,
      dbname: username,
      port: 5432,
      hostaddr: null,
      password: null,
      connectTimeout: null,
    });
    expect(keepalives).toEqual({ enabled: true, idleSeconds: null });
    expect(params).toEqual({ host: 'localhost' });
    expect((await resolveConninfo('user=u')).dbname).toBe('u');
    expect((await resolveHost("user='' dbname='' port=''")).port).toBe(5432);
  });

  it('come from the environment, where that is not empty', async () => {
    const environment = {
      PGHOST: 'h',
      PGHOSTADDR: '127.0.0.9',
      PGPORT: '5433',
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 'secret',
      PGCONNECT_TIMEOUT: '7',
      PGAPPNAME: 'a',
      PGOPTIONS: '-c work_mem=1MB',
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    expect(await resolveHost()).toMatchObject({
      host: 'h',
      hostaddr: '127.0.0.9',
      port: 5433,
      path: null,
      user: 'u',
      dbname: 'd',
      password: 'secret',
      connectTimeout: 7,
      startupParameters: { application_name: 'a', options: '-c work_mem=1MB' },
    });
    vi.stubEnv('PGPORT', '');
    expect((await resolveHost('host=given')).host).toBe('given');
    expect((await resolveHost({ host: 'given' })).port).toBe(5432);
  });

  it('never include the password', async () => {
    expect(JSON.stringify((await resolveConninfo('user=u password=secret host=h')).params)).not.toContain(
      'secret',
    );
  });
});

describe('a service', () => {
  const FILE =
    '# comment\n[other]\nhost=o\n\n[app]\nhost = s\nport=6000\nport=6001\nuser=service\n\n[after]\nhost=z\n';

  it('comes after given parameters and before the environment', async () => {
    await home.write('.pg_service.conf', FILE);
    vi.stubEnv('PGHOST', 'e');
    vi.stubEnv('PGDATABASE', 'from-environment');
    expect(await resolveHost('service=app user=given')).toMatchObject({
      host: 's',
      port: 6000,
      user: 'given',
      dbname: 'from-environment',
    });
    vi.stubEnv('PGSERVICE', 'other');
    expect((await resolveHost('')).host).toBe('o');
  });

  it('may be in a file named by the parameter or PGSERVICEFILE, or in the system’s directory', async () => {
    const path = await home.write('services', FILE);
    expect((await resolveHost({ service: 'app', servicefile: path })).host).toBe('s');
    vi.stubEnv('PGSERVICEFILE', path);
    expect((await resolveHost('service=after')).host).toBe('z');
    vi.stubEnv('PGSERVICEFILE', undefined);
    await home.write('pg_service.conf', FILE.replaceAll('\n', '\r\n'));
    vi.stubEnv('PGSYSCONFDIR', home.path);
    expect((await resolveHost('service=app')).host).toBe('s');
  });

  it.each([
    ['[other]\nhost=a\n', /definition of service "app" not found/],
    ['[app]\nhost\n', /syntax error in service file .* line 2/],
    ['[app]\nservice=other\n', /nested service/],
  ])('that is unusable raises OperationalError: %j', async (text, message) => {
    const servicefile = await home.write('services', text);
    const error = await refusal({ service: 'app', servicefile });
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
  });

  it('with an unknown parameter is refused, and so is a missing file', async () => {
    const servicefile = await home.write('services', '[app]\nnonsense=1\n');
    expect((await refusal({ service: 'app', servicefile })).message).toMatch(/"nonsense"/);
    const missing = await refusal({ service: 'app', servicefile: join(home.path, 'missing') });
    expect(missing).toBeInstanceOf(errors.OperationalError);
    expect(missing.message).toContain(join(home.path, 'missing'));
  });
});

describe('the password file', () => {
  const LINES = [
    '# comment',
    'h:5432:d:u:exact',
    'h:*:*:u:any port',
    'localhost:*:*:*:for localhost',
    'colons:*:*:*:a\\:b\\\\c',
    '\\:\\:1:*:*:*:for an address',
    'h:5432:*:back\\\\:after a backslash',
    'h:5432:*:\\*:for a star',
    'rest:*:*:*:until:the colon',
    'letters:*:*:*:p\\w',
    'spaces:*:*:*: p w \r',
    'empty:*:*:*:',
    'empty:*:*:*:too late',
    '*:*:*:nobody:for nobody',
  ].join('\n');

  it.each([
    ['host=h dbname=d user=u', 'exact'],
    ['host=h port=5433 dbname=d user=u', 'any port'],
    ['host=localhost user=x', 'for localhost'],
    ['host=colons user=x', 'a:b\\c'],
    ['host=::1 user=x', 'for an address'],
    ["host=h user='back\\\\'", 'after a backslash'],
    ['host=h user=*', 'for a star'],
    ['host=rest user=x', 'until'],
    ['host=letters user=x', 'pw'],
    ['host=spaces user=x', ' p w '],
    ['host=empty user=x', null],
    ['host=elsewhere user=nobody', 'for nobody'],
    ['host=elsewhere user=x', null],
    ['host=/var/run/postgresql user=x', 'for localhost'],
    ['host=h hostaddr=127.0.0.1 dbname=d user=u', 'exact'],
  ])('has for %j the password %j', async (conninfo, password) => {
    await home.write('.pgpass', LINES);
    expect((await resolveHost(conninfo)).password).toBe(password);
  });

  it('counts only if no password is given', async () => {
    await home.write('.pgpass', LINES);
    expect((await resolveHost('host=h dbname=d user=u password=given')).password).toBe('given');
    expect((await resolveHost('host=h dbname=d user=u password=')).password).toBe('exact');
  });

  it('may have lines of minimal length, and applies if PGPASSWORD is empty', async () => {
    await home.write('.pgpass', '*:*:*:*:x');
    vi.stubEnv('PGPASSWORD', '');
    expect((await resolveHost('host=h')).password).toBe('x');
  });

  it('may be named by passfile or PGPASSFILE', async () => {
    const passfile = await home.write('passwords', '*:*:*:*:from passfile');
    expect((await resolveHost({ host: 'h', passfile })).password).toBe('from passfile');
    vi.stubEnv('PGPASSFILE', passfile);
    expect((await resolveHost('host=h')).password).toBe('from passfile');
  });

  it('is ignored if other users may read it, if it is a directory, and if it is missing', async () => {
    const warnings = await warningsOf('USINGPG_PASSFILE', async () => {
      const passfile = await home.write('passwords', '*:*:*:*:hunter2', 0o640);
      expect((await resolveHost({ host: 'h', passfile })).password).toBeNull();
      expect((await resolveHost({ host: 'h', passfile: home.path })).password).toBeNull();
      expect((await resolveHost({ host: 'h', passfile: join(home.path, 'missing') })).password).toBeNull();
    });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/passwords" is not used: it has group or world access/);
    expect(warnings.join()).not.toContain('hunter2');
  });
});

describe('a host', () => {
  it('that is a path is the directory of a unix socket', async () => {
    expect(await resolveHost('host=/tmp/x port=5433')).toMatchObject({
      host: '/tmp/x',
      path: '/tmp/x/.s.PGSQL.5433',
    });
    expect((await resolveHost('host=@abstract')).path).toBe('\0abstract/.s.PGSQL.5432');
    expect((await resolveHost('host=h')).path).toBeNull();
  });

  it('with an address is only a name', async () => {
    expect(await resolveHost('host=/tmp/x hostaddr=127.0.0.1')).toMatchObject({
      path: null,
      hostaddr: '127.0.0.1',
    });
    expect((await resolveHost('hostaddr=127.0.0.1')).host).toBe('127.0.0.1');
    expect((await resolveHost('hostaddr=::1')).hostaddr).toBe('::1');
    expect((await refusal('hostaddr=localhost')).message).toMatch(/"localhost" is not a network address/);
  });
});

describe('several hosts', () => {
  const hostsOf = async (conninfo: string | ConninfoParams): Promise<unknown> =>
    (await resolveConninfo(conninfo)).hosts.map(({ host, hostaddr, port }) => [host, hostaddr, port]);

  it('go together with their addresses and ports', async () => {
    expect(await hostsOf('host=a,b')).toEqual([
      ['a', null, 5432],
      ['b', null, 5432],
    ]);
    expect(await hostsOf('host=a,b port=1')).toEqual([
      ['a', null, 1],
      ['b', null, 1],
    ]);
    expect(await hostsOf('postgresql://a:1,b,[::1]:3/d')).toEqual([
      ['a', null, 1],
      ['b', null, 5432],
      ['::1', null, 3],
    ]);
    expect(await hostsOf('host=a,b,c hostaddr=127.0.0.1,,::1 port=1,,3')).toEqual([
      ['a', '127.0.0.1', 1],
      ['b', null, 5432],
      ['c', '::1', 3],
    ]);
    expect(await hostsOf('hostaddr=127.0.0.1,127.0.0.2')).toEqual([
      ['127.0.0.1', '127.0.0.1', 5432],
      ['127.0.0.2', '127.0.0.2', 5432],
    ]);
    const [first] = (await hostsOf('host=')) as unknown[][];
    expect(await hostsOf('host=,a')).toEqual([first, ['a', null, 5432]]);
    expect((await resolveConninfo('host=/tmp/x,a port=1')).hosts.map(({ path }) => path)).toEqual([
      '/tmp/x/.s.PGSQL.1',
      null,
    ]);
  });

  it.each([
    ['host=a,b hostaddr=127.0.0.1', /host has 2 elements and hostaddr has 1/],
    ['host=a,b,c port=1,2', /port has 2 elements for 3 hosts/],
    ['host=a port=1,2', /port has 2 elements for 1 hosts/],
    ['host=a,b hostaddr=127.0.0.1,b', /"b" is not a network address/],
    ['host=a,b port=1,x', /the port is not a number/],
  ])('that do not go together are refused: %s', async (conninfo, message) => {
    const error = await refusal(conninfo);
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
  });

  it('have each their line of the password file', async () => {
    await home.write('.pgpass', 'a:1:*:*:for a\nb:*:*:*:for b\n');
    const { hosts } = await resolveConninfo('host=a,a,b,c port=1,2,3,4');
    expect(hosts.map(({ password }) => password)).toEqual(['for a', null, 'for b', null]);
    const given = await resolveConninfo('host=a,c password=given');
    expect(given.hosts.map(({ password }) => password)).toEqual(['given', 'given']);
  });
});

describe('the parameters of TLS', () => {
  const tlsOf = async (conninfo: string): Promise<TlsSettings> =>
    (await resolveConninfo(`host=h ${conninfo}`)).tls;

  it('have the defaults of libpq', async () => {
    expect(await tlsOf('')).toEqual({
      mode: 'prefer',
      negotiation: 'postgres',
      rootCert: null,
      cert: null,
      key: null,
      password: null,
      sendsCert: true,
      crl: null,
      crlDirectory: null,
      sni: true,
      minVersion: 'TLSv1.2',
      maxVersion: null,
    });
    expect((await tlsOf('sslrootcert=system')).mode).toBe('verify-full');
    expect((await tlsOf('sslrootcert=/tmp/system')).mode).toBe('prefer');
  });

  it('come from the environment as well', async () => {
    vi.stubEnv('PGSSLMODE', 'verify-ca');
    vi.stubEnv('PGSSLROOTCERT', '/root.crt');
    vi.stubEnv('PGSSLSNI', '0');
    expect(await tlsOf('')).toMatchObject({ mode: 'verify-ca', rootCert: '/root.crt', sni: false });
    expect((await tlsOf('sslmode=disable')).mode).toBe('disable');
    vi.stubEnv('PGSSLMODE', undefined);
    vi.stubEnv('PGREQUIRESSL', '1');
    expect((await tlsOf('')).mode).toBe('require');
    expect((await tlsOf('requiressl=0')).mode).toBe('prefer');
  });

  it.each([
    ['sslrootcert=system sslmode=require', /too weak for sslrootcert=system/],
    ['sslnegotiation=direct', /sslmode=prefer is too weak for sslnegotiation=direct/],
    ['sslnegotiation=direct sslmode=allow', /too weak/],
    ['ssl_min_protocol_version=SSLv3', /invalid value "SSLv3"/],
    ['ssl_max_protocol_version=1.2', /invalid value "1.2"/],
    ['ssl_max_protocol_version=TLSv1.1', /\(TLSv1\.2\) is above ssl_max_protocol_version/],
    ['ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2', /is above/],
  ])('that contradict are refused: %s', async (conninfo, message) => {
    const error = await refusal(`host=h ${conninfo}`);
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
  });

  it('are shown without their secrets', async () => {
    const { params } = await resolveConninfo('host=h password=hunter2 sslpassword=hunter2 sslmode=require');
    expect(params).toEqual({ host: 'h', sslmode: 'require' });
  });
});

describe('an unsupported parameter is named by a NotSupportedError', () => {
  it.each([
    'gssencmode=require',
    'sslcertmode=require',
    'sslkeylogfile=/tmp/keys',
    'replication=database',
    'requirepeer=postgres',
    'tcp_user_timeout=1000',
    'keepalives_interval=10',
    'keepalives_count=3',
    'oauth_issuer=https://issuer',
    'client_encoding=LATIN1',
  ])('%s', async (conninfo) => {
    const error = await refusal(`host=h ${conninfo}`);
    expect(error).toBeInstanceOf(errors.NotSupportedError);
    expect(error.message).toContain(conninfo);
  });

  it('also from the environment, and without showing a secret', async () => {
    vi.stubEnv('PGGSSENCMODE', 'require');
    expect((await refusal('host=h')).message).toContain('gssencmode=require');
    expect((await resolveHost('host=h gssencmode=disable')).host).toBe('h');
    vi.stubEnv('PGGSSENCMODE', undefined);
    for (const name of ['scram_client_key', 'scram_server_key', 'oauth_client_secret']) {
      const error = await refusal(`host=h ${name}=hunter2`);
      expect(error).toBeInstanceOf(errors.NotSupportedError);
      expect(error.message).toContain(name);
      expect(error.message).not.toContain('hunter2');
    }
  });

  it('a value unknown to libpq, too, raises an OperationalError that lists the known ones', async () => {
    for (const name of [
      'sslmode',
      'sslnegotiation',
      'sslcertmode',
      'target_session_attrs',
      'load_balance_hosts',
      'gssencmode',
      'channel_binding',
    ]) {
      const error = await refusal(`host=h ${name}=nonsense`);
      expect(error).toBeInstanceOf(errors.OperationalError);
      expect(error.message).toContain(`"nonsense" of the connection parameter ${name}`);
    }
    expect((await refusal('host=h sslmode=on')).message).toContain('disable, allow, prefer, require');
  });

  it.each([
    'sslcertmode=disable',
    'keepalives_interval=0',
    'gssencmode=prefer',
    'client_encoding=utf8',
    'client_encoding=UTF-8',
    'client_encoding=auto',
    'replication=false',
  ])('but %s is accepted', async (conninfo) => {
    expect((await resolveHost(`host=h ${conninfo}`)).host).toBe('h');
  });
});

describe('a number', () => {
  it.each(['0', '65536', '-1', 'http', '5432x', '1.5', '54 32'])('of a port is refused: %j', async (port) => {
    expect(await refusal({ host: 'h', port })).toBeInstanceOf(errors.OperationalError);
  });

  it('of a port may be as large as ports can be', async () => {
    expect((await resolveHost('host=h port=65535')).port).toBe(65_535);
    expect((await resolveHost("host=h port=' 5433 '")).port).toBe(5433);
  });

  it('of a timeout is at least two seconds, and none at or below zero', async () => {
    const timeout = async (value: string): Promise<number | null> =>
      (await resolveConninfo({ host: 'h', connect_timeout: value })).connectTimeout;
    expect(await timeout('10')).toBe(10);
    expect(await timeout('1')).toBe(2);
    expect(await timeout('0')).toBeNull();
    expect(await timeout('-5')).toBeNull();
    expect(await timeout('')).toBeNull();
    expect(await refusal('host=h connect_timeout=soon')).toBeInstanceOf(errors.OperationalError);
    expect(await refusal('host=h connect_timeout=99999999999')).toBeInstanceOf(errors.OperationalError);
  });

  it('of keepalives is parsed or refused', async () => {
    expect((await resolveConninfo('host=h keepalives=0')).keepalives.enabled).toBe(false);
    expect((await resolveConninfo("host=h keepalives=''")).keepalives.enabled).toBe(true);
    expect((await resolveConninfo('host=h keepalives_idle=30')).keepalives.idleSeconds).toBe(30);
    expect((await resolveConninfo('host=h keepalives_idle=-1')).keepalives.idleSeconds).toBeNull();
    expect((await refusal('host=h keepalives=yes')).message).toContain('keepalives');
    expect((await refusal('host=h keepalives_idle=x')).message).toContain('keepalives_idle');
  });

  it('that may be a piece of a password is not shown', async () => {
    for (const uri of [
      'postgresql://u:hunter2/x@h/d',
      'postgresql://u:hunter2',
      'postgresql://u:x@hunter2@h/d',
      'postgresql://u:x@hunter2@h,i/d',
    ]) {
      expect((await refusal(uri)).message).not.toContain('hunter2');
    }
    expect((await refusal('postgresql://u:99887766/x@h/d')).message).not.toContain('99887766');
  });
});

describe('the startup parameters', () => {
  it('have the application name, or else the fallback', async () => {
    const startup = async (conninfo: string): Promise<unknown> =>
      (await resolveConninfo(conninfo)).startupParameters;
    expect(await startup('host=h application_name=a fallback_application_name=f')).toEqual({
      application_name: 'a',
    });
    expect(await startup("host=h application_name='' fallback_application_name=f")).toEqual({
      application_name: 'f',
    });
    expect(await startup('host=h')).toEqual({});
  });
});
