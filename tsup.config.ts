import { rmSync } from 'node:fs';
import { defineConfig } from 'tsup';
import { writeDeclarations } from './tools/declarations.js';
import { writeEntries } from './tools/entries.js';
import { lean, type LeanCode } from './tools/lean-code.js';

export default defineConfig(({ outDir = 'dist' }) => {
  // tsup would remove declarations later, when ours has been written.
  rmSync(outDir, { recursive: true, force: true });
  let built: LeanCode | null = null;
  return {
    // One copy of the code for both kinds of modules: half the size, and whoever loads it in both ways has one set of classes.
    entry: { core: 'src/index.ts' },
    format: ['cjs'],
    target: 'node20',
    // p-limit is published as ES modules only.
    noExternal: ['p-limit', 'yocto-queue'],
    esbuildOptions: (options) => {
      options.minifyWhitespace = true;
      options.minifySyntax = true;
    },
    plugins: [
      {
        name: 'lean',
        renderChunk: async (code) => {
          built = await lean(code);
          return { code: built.code };
        },
      },
    ],
    onSuccess: async () => {
      if (built === null) throw new Error('there is no code');
      await Promise.all([writeEntries(outDir, built), writeDeclarations(outDir)]);
    },
  };
});
