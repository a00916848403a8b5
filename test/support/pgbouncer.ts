import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { conninfoToDict } from '../../src/index.js';
import { exitOf, onProcessEnd, ownDirectory, serverIdentity } from './own-process.js';
import { freePort, giveAway } from './server.js';

/** A PgBouncer in front of a server, in transaction mode. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  /** Runs a command of its administration console, such as `SHOW SERVERS`. */
  admin(command: string): Promise<Record<string, unknown>[]>;
  /** What it said last. */
  log(): string;
}

const START_LIMIT = 10_000;

/**
 * The path of PgBouncer, which PGBOUNCER may name; null if it is not installed. Debian installs it in a directory that only
 * root's PATH contains.
 */
export function pgBouncerProgram(): string | null {
  const named = process.env['PGBOUNCER'];
  if (named === 'none') return null;
  if (named !== undefined && named !== '') return named;
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  return directories.map((directory) => join(directory, 'pgbouncer')).find(existsSync) ?? null;
}

/** Whether tests may be skipped: it is not installed and this is no CI, or PGBOUNCER=none says that it is unavailable. */
export function mayLackPgBouncer(): boolean {
  if (pgBouncerProgram() !== null) return false;
  const { CI, PGBOUNCER } = process.env;
  const may = CI === undefined || CI === '' || PGBOUNCER === 'none';
  if (may) console.warn('PgBouncer is not installed (apt-get install pgbouncer): its tests are skipped');
  return may;
}

/** How a PgBouncer is run. */
export interface PgBouncerOptions {
  /** The directory in which it gets its own. @default the system's for temporary files */
  readonly parent?: string;
  /** Whether it is started again when it has ended by itself, as a supervisor does. @default false */
  readonly restarts?: boolean;
}

/** Starts a PgBouncer in front of the server of `dsn`. It trusts its users. `settings` are added to the test's own. */
export async function startPgBouncer(
  program: string,
  dsn: string,
  settings: Readonly<Record<string, string | number>> = {},
  { parent, restarts = false }: PgBouncerOptions = {},
): Promise<PgBouncer> {
  const { host, port: serverPort, user } = conninfoToDict(dsn);
  const { path: home, keep } = ownDirectory('usingpg-bouncer-', parent);
  await chmod(home, 0o755);
  const identity = serverIdentity();
  const port = await freePort();
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    admin_users: 'bouncer',
    pool_mode: 'transaction',
    ...settings,
  };
  const file = join(home, 'pgbouncer.ini');
  await writeFile(
    file,
    [
      '[databases]',
      `* = host=${host!} port=${serverPort!} user=${user!}`,
      '[pgbouncer]',
      ...Object.entries(lines).map(([name, value]) => `${name} = ${String(value)}`),
      '',
    ].join('\n'),
  );
  await giveAway({ identity }, file);
  let log = '';
  const start = (): ChildProcess => {
    const started = spawn(program, [file], { ...identity, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
    started.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
    if (restarts) started.once('exit', restart);
    return started;
  };
  const restart = (): void => {
    child = start();
  };
  let child = start();
  const removeHandlers = onProcessEnd(() => {
    child.removeListener('exit', restart);
    child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  });
  keep();
  const admin = async (command: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'bouncer', database: 'pgbouncer' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(command)).rows;
    } finally {
      await client.end();
    }
  };
  const deadline = Date.now() + START_LIMIT;
  for (;;) {
    try {
      await admin('SHOW VERSION');
      break;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`PgBouncer did not start: ${log}`, { cause: error });
      }
      await sleep(20);
    }
  }
  return {
    port,
    admin,
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      removeHandlers();
      child.removeListener('exit', restart);
      await exitOf(child, 'SIGTERM');
      await rm(home, { recursive: true, force: true });
    },
  };
}
