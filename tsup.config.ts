import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Options } from 'tsup';
import { withClassNames } from './tools/class-names.js';
import { writeDeclarations, writeIntegrationDeclarations } from './tools/declarations.js';
import { loadAtFirstUse, writeLoaders } from './tools/first-use.js';
import { integrations, mainEntryApart } from './tools/integrations.js';
import { writeLicenses } from './tools/licenses.js';
import { asCommonJs, asEsModule } from './tools/module-formats.js';
import { oneInstance } from './tools/one-instance.js';
import { pointToSources } from './tools/source-maps.js';
import { withoutComments } from './tools/without-comments.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
/** Packages that CommonJS can't load on every Node 20: they are published as ES modules only. */
const BUNDLED = ['p-limit', 'yocto-queue'];

export default defineConfig(({ outDir = 'dist' }) => {
  // tsup would remove declarations later, when ours has been written.
  rmSync(outDir, { recursive: true, force: true });
  const common = (format: 'esm' | 'cjs'): Options => ({
    // What only an open connection needs is a file of its own, and what both need is a third one.
    entry: { index: 'src/index.ts', connect: 'src/connection/connect.ts' },
    // The CommonJS module is made of an ES module, since esbuild can't share code between files of that format.
    format: 'esm',
    outExtension: () => ({ js: format === 'esm' ? '.js' : '.cjs' }),
    splitting: true,
    target: 'node20',
    sourcemap: true,
    removeNodeProtocol: false,
    esbuildOptions: (options) => {
      options.chunkNames = 'shared';
    },
    esbuildPlugins: [
      oneInstance('src/index.ts', `usingpg ${version}`),
      loadAtFirstUse(format),
      withoutComments,
    ],
    plugins: [
      {
        name: 'readable-and-quick-to-load',
        renderChunk: (code) => ({
          code: (format === 'esm' ? asEsModule : asCommonJs)(withClassNames(code)),
        }),
      },
    ],
  });
  const pointMaps = async (names: readonly string[], format: 'esm' | 'cjs'): Promise<void> => {
    const extension = format === 'esm' ? 'js' : 'cjs';
    await Promise.all(names.map((name) => pointToSources(join(outDir, `${name}.${extension}.map`))));
  };
  const files = ['index', 'connect', 'shared'];
  const subpaths = integrations();
  // Its `types` and `defaults` are for all connections, whichever module system a program and its libraries get them by.
  const shared = subpaths.pg === undefined ? [] : [oneInstance(subpaths.pg, `usingpg/pg ${version}`)];
  const subpath = (format: 'esm' | 'cjs'): Options => ({
    entry: subpaths,
    format,
    target: 'node20',
    sourcemap: true,
    splitting: false,
    removeNodeProtocol: false,
    skipNodeModulesBundle: true,
    esbuildPlugins: [...shared, mainEntryApart, withoutComments],
    plugins: [
      {
        name: 'readable',
        renderChunk: (code) => {
          const named = withClassNames(code);
          return { code: format === 'esm' ? asEsModule(named) : named };
        },
      },
    ],
    onSuccess: () => pointMaps(Object.keys(subpaths), format),
  });
  return [
    {
      ...common('esm'),
      onSuccess: async () => {
        await Promise.all([
          pointMaps(files, 'esm'),
          writeLoaders(outDir),
          writeDeclarations(outDir),
          writeIntegrationDeclarations(outDir, subpaths),
        ]);
      },
    },
    {
      ...common('cjs'),
      noExternal: BUNDLED,
      onSuccess: async () => {
        await Promise.all([pointMaps(files, 'cjs'), writeLicenses(join(outDir, 'index.cjs'), BUNDLED)]);
      },
    },
    ...(Object.keys(subpaths).length === 0 ? [] : [subpath('esm'), subpath('cjs')]),
  ];
});
