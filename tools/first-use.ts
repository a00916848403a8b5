import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Format } from 'tsup';
import type { Plugin } from 'esbuild';

/** The modules of src that load others at their first use, and what package.json has under "imports" for them. */
const LOADERS = {
  '#packages': /\/packages\.js$/,
  '#connect': /\/load-connect\.js$/,
} as const;

/**
 * What they are for CommonJS. p-limit is bundled: CommonJS can't load it on every Node 20. Bun's `require()` may be given the ES module
 * of postgres.js.
 */
const FOR_COMMONJS = {
  '#packages': `import pLimit from 'p-limit';
export const loadPLimit = () => pLimit;
export const loadPostgres = async () => {
  const loaded = await import('postgres');
  return loaded.default ?? loaded;
};
`,
  '#connect': `export const loadConnect = async () => await import('./connect.cjs');
`,
};

/**
 * What they are for the ES module: each in a form for all who run it as it is, and in one for bundlers. They are two files, since the
 * one that `connect.js` imports must not import `connect.js`.
 */
const FILES = {
  'packages.js': `let pLimit;
export const loadPLimit = async () => (pLimit ??= (await import('p-limit')).default);
export const loadPostgres = async () => (await import('postgres')).default;
`,
  'packages-bundled.js': `import pLimit from 'p-limit';
import postgres from 'postgres';
export const loadPLimit = () => pLimit;
export const loadPostgres = () => postgres;
`,
  'load-connect.js': `let connect;
export const loadConnect = async () => (connect ??= await import('./connect.js'));
`,
  'load-connect-bundled.js': `import * as connect from './connect.js';
export const loadConnect = () => connect;
`,
};

/** The forms that these modules have in the package. */
export function loadAtFirstUse(format: Format): Plugin {
  return {
    name: 'load-at-first-use',
    setup: (build) => {
      for (const [name, filter] of Object.entries(LOADERS)) {
        build.onResolve({ filter }, () =>
          format === 'esm' ? { path: name, external: true } : { path: name, namespace: 'first-use' },
        );
      }
      build.onResolve({ filter: /^(?:postgres|\.\/connect\.cjs)$/ }, ({ path }) => ({
        path,
        external: true,
      }));
      build.onLoad({ filter: /./, namespace: 'first-use' }, ({ path }) => ({
        contents: FOR_COMMONJS[path as keyof typeof LOADERS],
        resolveDir: process.cwd(),
      }));
    },
  };
}

/** Writes the forms for the ES module. */
export async function writeLoaders(directory: string): Promise<void> {
  const files = Object.entries(FILES);
  await Promise.all(files.map(([name, contents]) => writeFile(resolve(directory, name), contents)));
}
