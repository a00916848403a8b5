import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Plugin } from 'esbuild';

const FOLDER = 'src/integrations';

/** The package's own name, as the integrations in `dist` import it: both of their formats then share one instance of it. */
export const PACKAGE = 'usingpg';

/** The entry file of each subpath export, by its name: `src/integrations/kysely.ts`, or `src/integrations/kysely/index.ts`. */
export function integrations(): Record<string, string> {
  if (!existsSync(FOLDER)) return {};
  const entries = readdirSync(FOLDER, { withFileTypes: true });
  return Object.fromEntries(
    entries.map((entry) =>
      entry.isDirectory()
        ? [entry.name, `${FOLDER}/${entry.name}/index.ts`]
        : [basename(entry.name, '.ts'), `${FOLDER}/${entry.name}`],
    ),
  );
}

/** The main entry, and what it exports of the errors, which leaves import that are bundled into integrations. */
const MAIN_ENTRY = ['src/index.js', 'src/errors/namespace.js'].map((path) => resolve(path));

/** Whether a module's import is that of the main entry, or of a part of it. */
export function isMainEntry(path: string, importer: string): boolean {
  return path.startsWith('.') && MAIN_ENTRY.includes(resolve(dirname(importer), path));
}

/** Leaves the main entry out of the bundle of an integration. */
export const mainEntryApart: Plugin = {
  name: 'main-entry-apart',
  setup: (build) => {
    build.onResolve({ filter: /\/(?:index|namespace)\.js$/ }, ({ path, importer }) =>
      isMainEntry(path, importer) ? { path: PACKAGE, external: true } : null,
    );
  },
};
