import { rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { defineConfig } from 'tsup';
import { writeDeclarations } from './tools/declarations.js';
import { lean } from './tools/lean-code.js';

export default defineConfig(({ outDir = 'dist' }) => {
  // tsup would remove declarations later, when ours has been written.
  rmSync(outDir, { recursive: true, force: true });
  return {
    entry: ['src/index.ts'],
    // One copy of the code for both kinds of modules: half the size, and whoever loads it in both ways has one set of classes.
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
        renderChunk: async (code) => ({ code: await lean(code) }),
      },
    ],
    onSuccess: async () => {
      await Promise.all([writeModule(outDir), writeDeclarations(outDir)]);
    },
  };
});

/** The ES module, which hands on what the CommonJS module exports. */
async function writeModule(directory: string): Promise<void> {
  // esbuild leaves a note of the names for those who read the code without running it, as Node does.
  const note = /0&&\(module\.exports=\{([\w$,:]+)\}\)/.exec(
    await readFile(resolve(directory, 'index.cjs'), 'utf8'),
  );
  if (note === null) throw new Error('the names that index.cjs exports are not to be found');
  const names = note[1]!.split(',').map((name) => name.replace(/:.*/, ''));
  // Node searches a CommonJS module that is imported for names, which takes longer than to run it; and what that requires only
  // if it hands it on at once.
  await writeFile(
    resolve(directory, 'module.cjs'),
    "const usingpg = require('./index.cjs');\nmodule.exports = usingpg;\n",
  );
  await writeFile(
    resolve(directory, 'index.js'),
    `import usingpg from './module.cjs';\nexport const { ${names.join(', ')} } = usingpg;\n`,
  );
}
