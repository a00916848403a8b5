import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { PACKAGE } from './package.js';
import type { Finding } from './setting.js';

/** The findings of one workload in two alternating processes, one with each build. */
export interface Pair {
  readonly old: readonly Finding[];
  readonly current: readonly Finding[];
}

/** Builds the checkout in `directory`, unless its build is newer than its source. */
export function ensureBuilt(directory: string): void {
  const built = statSync(join(directory, 'dist/index.js'), { throwIfNoEntry: false });
  const sources = readdirSync(join(directory, 'src'), { recursive: true, encoding: 'utf8' });
  const changed = Math.max(...sources.map((name) => statSync(join(directory, 'src', name)).mtimeMs));
  if (built !== undefined && built.mtimeMs >= changed) return;
  console.error(`building ${directory}`);
  execFileSync('npm', ['run', 'build'], { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
}

/**
 * Runs a workload with this build and with that of `directory`, in two new processes. Only one of them works at a time, from the
 * start of one round to the start of the next. Each has a database of its own. The order may affect the caches, so `first`
 * chooses which one begins.
 */
export async function alternate(
  name: string,
  {
    directory,
    dsn,
    quick,
    first,
  }: { directory: string; dsn: string; quick: boolean; first: 'old' | 'current' },
): Promise<Pair> {
  await using databases = await Databases.create(dsn, ['bench_old', 'bench_current']);
  const start = (checkout: string, database: string): Part =>
    new Part(name, { quick, checkout, dsn: databases.dsn(database) });
  const old = start(resolve(directory), 'bench_old');
  const current = start(PACKAGE, 'bench_current');
  const parts = first === 'old' ? [old, current] : [current, old];
  try {
    await Promise.all(parts.map((part) => part.waits()));
    while (parts.some(({ ended }) => !ended)) {
      for (const part of parts) if (!part.ended) await part.proceed();
    }
    return { old: old.findings(), current: current.findings() };
  } finally {
    for (const part of parts) part.kill();
  }
}

/** A process that runs one workload, turn by turn. */
class Part {
  readonly #child: ChildProcess;
  readonly #about: string;
  #output = '';
  ended = false;

  constructor(name: string, { quick, checkout, dsn }: { quick: boolean; checkout: string; dsn: string }) {
    this.#about = `${name} with the build of ${checkout}`;
    this.#child = spawn(
      process.execPath,
      [...process.execArgv, process.argv[1]!, '--part', name, '--alternate', ...(quick ? ['--quick'] : [])],
      {
        env: { ...process.env, DATABASE_URL: dsn, BENCH_PACKAGE: checkout },
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      },
    );
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.#child.once('close', () => (this.ended = true));
  }

  /** Resolves when it waits for its next turn, or has ended. */
  async waits(): Promise<void> {
    const either = new AbortController();
    const { signal } = either;
    await Promise.race([once(this.#child, 'message', { signal }), once(this.#child, 'close', { signal })]);
    either.abort();
  }

  /** Gives it a turn. */
  async proceed(): Promise<void> {
    const waits = this.waits();
    this.#child.send('go');
    await waits;
  }

  findings(): Finding[] {
    if (this.#child.exitCode !== 0) throw new Error(`${this.#about} has failed`);
    return JSON.parse(this.#output) as Finding[];
  }

  kill(): void {
    this.#child.kill();
  }
}

/** Temporary databases, since both builds create tables of the same names. */
class Databases implements AsyncDisposable {
  readonly #dsn: string;
  readonly #names: readonly string[];

  private constructor(dsn: string, names: readonly string[]) {
    this.#dsn = dsn;
    this.#names = names;
  }

  static async create(dsn: string, names: readonly string[]): Promise<Databases> {
    const databases = new Databases(dsn, names);
    await databases.#execute((name) => [
      `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`,
      `CREATE DATABASE ${name}`,
    ]);
    return databases;
  }

  dsn(name: string): string {
    const url = new URL(this.#dsn);
    url.pathname = `/${name}`;
    return url.href;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#execute((name) => [`DROP DATABASE ${name} WITH (FORCE)`]);
  }

  async #execute(statements: (name: string) => readonly string[]): Promise<void> {
    const client = new pg.Client(this.#dsn);
    await client.connect();
    try {
      for (const text of this.#names.flatMap(statements)) await client.query(text);
    } finally {
      await client.end();
    }
  }
}
