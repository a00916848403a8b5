import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Format } from 'tsup';
import type { Plugin } from 'esbuild';

/** The modules of src that load others at their first use. */
const LOADERS = /\/(?:packages|load-connect)\.js$/;

/** What they are for CommonJS. p-limit is bundled: CommonJS can't load it on every Node 20. Bun's `require()` may be given the ES module of postgres.js. */
const FOR_COMMONJS = `import pLimit from 'p-limit';
export const loadPLimit = () => pLimit;
export const loadPostgres = async () => {
  const loaded = await import('postgres');
  return loaded.default ?? loaded;
};
export const loadConnect = async () => await import('./connect.cjs');
`;

const AT_FIRST_USE = `let pLimit, connect;
export const loadPLimit = async () => (pLimit ??= (await import('p-limit')).default);
export const loadPostgres = async () => (await import('postgres')).default;
export const loadConnect = async () => (connect ??= await import('./connect.js'));
`;

const FOR_BUNDLERS = `import pLimit from 'p-limit';
import postgres from 'postgres';
import * as connect from './connect.js';
export const loadPLimit = () => pLimit;
export const loadPostgres = () => postgres;
export const loadConnect = () => connect;
`;

/** The forms that these modules have in the package, in which they are one file. */
export function loadAtFirstUse(format: Format): Plugin {
  return {
    name: 'load-at-first-use',
    setup: (build) => {
      build.onResolve({ filter: LOADERS }, () =>
        // Which of the files below it is, package.json says under "imports".
        format === 'esm'
          ? { path: '#first-use', external: true }
          : { path: 'first-use', namespace: 'first-use' },
      );
      build.onResolve({ filter: /^(?:postgres|\.\/connect\.cjs)$/ }, ({ path }) => ({
        path,
        external: true,
      }));
      build.onLoad({ filter: /./, namespace: 'first-use' }, () => ({
        contents: FOR_COMMONJS,
        resolveDir: process.cwd(),
      }));
    },
  };
}

/** Writes the forms for the ES module: one for all who run it as it is, and one for bundlers. */
export async function writeLoaders(directory: string): Promise<void> {
  await writeFile(resolve(directory, 'first-use.js'), AT_FIRST_USE);
  await writeFile(resolve(directory, 'first-use-bundled.js'), FOR_BUNDLERS);
}
