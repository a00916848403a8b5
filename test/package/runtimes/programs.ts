import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A runtime that the package is tested on. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
}

/** The runtimes, in the order of the table in README.md. */
export const runtimes: readonly Runtime[] = Object.entries(
  JSON.parse(await readFile(new URL('versions.json', import.meta.url), 'utf8')) as Record<string, string>,
).map(([name, version]) => ({ name, version }));

/** Whether a runtime that can't be had is skipped; in CI it is a failure. */
export function canBeMissing(): boolean {
  return (process.env['CI'] ?? '') === '';
}

/** Where what tests fetch is kept, as every run would fetch the same. */
export function cacheDirectory(name: string): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'usingpg-tests', name);
}

/** The command to put a file's name behind; the runtime is installed from npm unless it has been before. */
export async function programOf({ name, version }: Runtime): Promise<readonly string[]> {
  if (name.startsWith('Node ') && process.versions.node === version) return [process.execPath];
  const [id, file, ...args] = packageOf(name);
  const directory = cacheDirectory(`${id!.replace('/', '-')}-${version}`);
  const program = join(directory, 'node_modules', id!, file!);
  if (!existsSync(program)) {
    await mkdir(directory, { recursive: true });
    await run(
      'npm',
      ['install', '--prefix', directory, '--no-audit', '--no-fund', '--force', `${id!}@${version}`],
      {
        timeout: 240_000,
      },
    );
  }
  return [program, ...args];
}

/** The package that has the program for this machine in it, its place there, and what is to be put behind it. */
function packageOf(name: string): readonly string[] {
  const { platform, arch } = process;
  switch (name) {
    case 'Bun':
      return [`@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}`, 'bin/bun', 'run'];
    case 'Deno':
      return [`@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`, 'deno', 'run', '-A'];
    default:
      return [`node-${platform}-${arch}`, 'bin/node'];
  }
}
