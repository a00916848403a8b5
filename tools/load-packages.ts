import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Format } from 'tsup';
import type { Plugin } from 'esbuild';

const SOURCE = /\/packages\.js$/;

/** p-limit is bundled: CommonJS can't load it on every Node 20. Bun's `require()` may be given the ES module. */
const FOR_COMMONJS = `import pLimit from 'p-limit';
export const loadPLimit = () => pLimit;
export const loadPostgres = () => {
  const loaded = require('postgres');
  return loaded.default ?? loaded;
};
`;

const AT_FIRST_USE = `export const loadPostgres = async () => (await import('postgres')).default;
let pLimit;
export const loadPLimit = async () => (pLimit ??= (await import('p-limit')).default);
`;

const FOR_BUNDLERS = `import pLimit from 'p-limit';
import postgres from 'postgres';
export const loadPostgres = () => postgres;
export const loadPLimit = () => pLimit;
`;

/** The forms that src/packages.ts has in the package. */
export function loadPackages(format: Format): Plugin {
  return {
    name: 'load-packages',
    setup: (build) => {
      build.onResolve({ filter: SOURCE }, ({ path }) =>
        // Which of the files below it is, package.json says under "imports".
        format === 'esm' ? { path: '#packages', external: true } : { path, namespace: 'load-packages' },
      );
      build.onLoad({ filter: SOURCE, namespace: 'load-packages' }, () => ({
        contents: FOR_COMMONJS,
        resolveDir: process.cwd(),
      }));
    },
  };
}

/** Writes the forms for the ES module: one for all who run it as it is, and one for bundlers. */
export async function writePackageLoaders(directory: string): Promise<void> {
  await writeFile(resolve(directory, 'packages.js'), AT_FIRST_USE);
  await writeFile(resolve(directory, 'packages-bundled.js'), FOR_BUNDLERS);
}
