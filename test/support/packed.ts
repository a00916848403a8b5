import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const run = promisify(execFile);
export const bin = (name: string): string => join(root, 'node_modules/.bin', name);

/** The package as it is published. */
export interface Packed {
  /** The directory that it was packed from. */
  readonly source: string;
  readonly tarball: string;
  /** A directory node_modules that npm has installed it into, with its dependencies. */
  readonly modules: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

/** What is packed for a run of the tests stands there, until the run has ended. */
export function packedPlace(runner: number): string {
  return join(tmpdir(), `usingpg-packed-${String(runner)}`);
}

/**
 * Builds and packs the package: once for a run, whichever test file asks first, and aside, so that whoever uses dist meanwhile is not
 * disturbed.
 */
export async function packed(): Promise<Packed> {
  const place = packedPlace(process.ppid);
  const done = join(place, 'packed.json');
  const isFirst = await mkdir(place).then(
    () => true,
    () => false,
  );
  if (isFirst) {
    const pack = await build(place).catch((error: unknown) => ({ error: String(error) }));
    await writeFile(`${done}.part`, JSON.stringify(pack));
    await rename(`${done}.part`, done);
  }
  while (!existsSync(done)) await sleep(100);
  const result = JSON.parse(await readFile(done, 'utf8')) as Packed | { error: string };
  if ('error' in result) throw new Error(`the package was not built: ${result.error}`);
  return result;
}

async function build(place: string): Promise<Packed> {
  const source = join(place, 'package');
  await mkdir(source);
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'src']) {
    await cp(join(root, name), join(source, name), { recursive: true });
  }
  await run(bin('tsup'), ['--out-dir', join(source, 'dist')], { cwd: root, maxBuffer: 1e8 });
  const { stdout } = await npm(source, 'pack', '--ignore-scripts', '--json', '--pack-destination', place);
  const [{ filename, size, unpackedSize, files }] = JSON.parse(stdout) as [Packed & { filename: string }];
  const tarball = join(place, filename);
  const project = join(place, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true }));
  await npm(project, 'install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts');
  return { source, tarball, modules: join(project, 'node_modules'), size, unpackedSize, files };
}

/** A project in `home` that has the package and its dependencies, and nothing else. */
export async function install(home: string, name: string, manifest: object): Promise<string> {
  const { modules } = await packed();
  const project = join(home, name);
  await cp(modules, join(project, 'node_modules'), { recursive: true });
  await writeFile(join(project, 'package.json'), JSON.stringify({ name, private: true, ...manifest }));
  return project;
}

export function npm(cwd: string, ...args: readonly string[]): Promise<{ stdout: string }> {
  return run('npm', [...args], {
    cwd,
    maxBuffer: 1e8,
    timeout: 240_000,
    shell: process.platform === 'win32',
  });
}
