import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

/** Writes the licences of the packages that a bundle has in it beside the bundle, as they ask for. */
export async function writeLicenses(bundle: string, packages: readonly string[]): Promise<void> {
  const notices = packages.map(async (name) => {
    const { version } = JSON.parse(await readFile(`node_modules/${name}/package.json`, 'utf8')) as {
      version: string;
    };
    const license = await readFile(`node_modules/${name}/license`, 'utf8');
    return `${name} ${version}\n\n${license.trim()}\n`;
  });
  await writeFile(resolve(`${bundle}.LICENSE.txt`), (await Promise.all(notices)).join('\n---\n\n'));
}
