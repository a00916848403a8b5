import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Format } from 'tsup';
import type { Plugin } from 'esbuild';

const SOURCE = /\/postgres\.js$/;

/** Bun's `require()` may be given the ES module. */
const REQUIRING = `export const loadPostgres = () => {
  const loaded = require('postgres');
  return loaded.default ?? loaded;
};
`;

/** The forms that src/wire/postgres.ts has in the package. */
export function loadPostgres(format: Format): Plugin {
  return {
    name: 'load-postgres',
    setup: (build) => {
      build.onResolve({ filter: SOURCE }, ({ path }) =>
        // Which of the files below it is, package.json says under "imports".
        format === 'esm' ? { path: '#postgres', external: true } : { path, namespace: 'load-postgres' },
      );
      build.onLoad({ filter: SOURCE, namespace: 'load-postgres' }, () => ({
        contents: REQUIRING,
        resolveDir: process.cwd(),
      }));
    },
  };
}

/** Writes the forms for the ES module: one for all who run it as it is, and one for bundlers, with a static import. */
export async function writePostgresLoaders(directory: string): Promise<void> {
  await writeFile(
    resolve(directory, 'postgres-later.js'),
    "export const loadPostgres = async () => (await import('postgres')).default;\n",
  );
  await writeFile(
    resolve(directory, 'postgres-bundled.js'),
    "import postgres from 'postgres';\nexport const loadPostgres = () => postgres;\n",
  );
}
