import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AsyncConnection, errors } from '../../src/index.js';
import { resolveConninfo } from '../../src/conninfo/resolve.js';
import { connect, dsn } from '../support/database.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('PGTZ, PGDATESTYLE and PGGEQO', () => {
  it('are settings of the session from its start', async () => {
    vi.stubEnv('PGTZ', 'Asia/Tokyo');
    vi.stubEnv('PGDATESTYLE', 'ISO, DMY');
    vi.stubEnv('PGGEQO', 'off');
    const conn = await connect({ autocommit: true });
    const settings = await conn.execute(
      "SELECT current_setting('timezone'), current_setting('datestyle'), current_setting('geqo')",
    );
    expect(await settings.fetchone()).toEqual(['Asia/Tokyo', 'ISO, DMY', 'off']);
    expect(conn.info.timezone).toBe('Asia/Tokyo');
    const date = await conn.execute("SELECT '2024-05-01 00:00+09'::timestamptz, '2024-05-01'::date");
    expect(await date.fetchone()).toEqual([new Date('2024-04-30T15:00Z'), '2024-05-01']);
    // They are also the values to which RESET returns.
    await conn.execute('SET timezone = UTC; RESET timezone');
    expect(conn.info.timezone).toBe('Asia/Tokyo');
  });

  it('are left to the server if they are empty or `default`', async () => {
    vi.stubEnv('PGTZ', 'Default');
    vi.stubEnv('PGDATESTYLE', '');
    vi.stubEnv('PGGEQO', 'default');
    expect((await resolveConninfo('user=u')).startupParameters).toEqual({});
  });

  it('that the server rejects fail the connection with its error', async () => {
    vi.stubEnv('PGTZ', 'Nowhere/Never');
    await expect(AsyncConnection.connect(dsn())).rejects.toMatchObject({ sqlstate: '22023' });
  });
});

describe('the path of a Unix socket', () => {
  it('that is too long for the operating system is reported as such', async () => {
    const directory = `/tmp/${'d'.repeat(100)}`;
    const error: unknown = await AsyncConnection.connect({ host: directory, port: 5432, user: 'u' }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect((error as Error).message).toMatch(
      /\.s\.PGSQL\.5432 failed: the path of the Unix socket is too long: it has 119 bytes, and the system takes 10[37] at most/,
    );
  });

  it('is measured in bytes, and one of the greatest length is tried', async () => {
    const base = await mkdtemp(join(tmpdir(), 's'));
    const most = process.platform === 'linux' ? 107 : 103;
    const fill = most - Buffer.byteLength(`${base}//.s.PGSQL.5432`);
    const message = async (host: string): Promise<string> =>
      AsyncConnection.connect({ host, port: 5432, user: 'u' }).then(
        () => 'connected',
        (error: unknown) => (error as Error).message,
      );
    expect(await message(`${base}/${'x'.repeat(fill)}`)).toMatch(/there is no such socket/);
    expect(await message(`${base}/${'x'.repeat(fill + 1)}`)).toMatch(/too long: it has 10[48] bytes/);
    expect(await message(`${base}/${'é'.repeat(fill / 2 + 1)}`)).toMatch(/too long/);
    expect(await message(`@${'x'.repeat(120)}`)).toMatch(/ at @x+\/\.s\.PGSQL\.5432 failed: .*too long/);
    await rm(base, { recursive: true });
  });

  it('that is too long does not keep the next host from being tried', async () => {
    const { hosts } = await resolveConninfo(dsn());
    const { host, port } = hosts[0]!;
    const conn = await AsyncConnection.connect(dsn(), { autocommit: true });
    await conn.close();
    await using second = await AsyncConnection.connect(
      `${dsn().includes('://') ? '' : dsn()} host=/tmp/${'d'.repeat(120)},${host} port=${String(port)},${String(port)}`.trim() +
        ` user=${conn.info.user} password=${conn.info.password ?? ''} dbname=${conn.info.dbname}`,
    );
    expect(second.info.port).toBe(port);
  });
});
