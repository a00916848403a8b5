import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packed } from '../support/packed.js';
import { root } from './samples.js';

/**
 * Has a package under `node_modules` of a folder: a link to this checkout's, or as `usingpg` what is built and packed of this checkout, with
 * its dependencies.
 */
export async function linkPackage(folder: string, name: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  if (name === 'usingpg') {
    // A copy, so that it finds its optional peers in the folder.
    await cp((await packed()).modules, modules, { recursive: true });
    return;
  }
  const path = join(modules, name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(join(root, 'node_modules', name), path, 'dir');
}
