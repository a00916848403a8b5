import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { integrations } from '../../tools/integrations.js';
import { root } from './samples.js';

/** Has a package under `node_modules` of a folder: one of this checkout's, or as `usingpg` this checkout's source. */
export async function linkPackage(folder: string, name: string): Promise<void> {
  const target = name === 'usingpg' ? await sourceAsPackage(folder) : join(root, 'node_modules', name);
  const path = join(folder, 'node_modules', name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path, 'dir');
}

async function sourceAsPackage(folder: string): Promise<string> {
  const path = join(folder, '.usingpg');
  const subpaths = Object.fromEntries(
    Object.entries(integrations()).map(([name, source]) => [`./${name}`, `./${source}`]),
  );
  await mkdir(path);
  await writeFile(
    join(path, 'package.json'),
    JSON.stringify({ name: 'usingpg', type: 'module', exports: { '.': './src/index.ts', ...subpaths } }),
  );
  await symlink(join(root, 'src'), join(path, 'src'), 'dir');
  return path;
}
