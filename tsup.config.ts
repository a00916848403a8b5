import { minify } from '@swc/core';
import { rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { defineConfig } from 'tsup';
import ts from 'typescript';

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
        renderChunk: async (code) => ({ code: inLines(await withShortLocals(requiredWhenUsed(code))) }),
      },
    ],
    onSuccess: async () => {
      await Promise.all([writeModule(outDir), writeDeclarations(outDir)]);
    },
  };
});

/**
 * Other modules are loaded where the code first gets there, as `import defer` is going to have it: most of them when the first
 * connection is opened, and what that does not need never.
 */
function requiredWhenUsed(code: string): string {
  const deferred = code
    .replace(
      /\b(import_\w+)=(__toESM\(require\("[^"]+"\),1\)|require\("[^"]+"\))(?=[,;])/g,
      (_, name: string, load: string) => `${name}=deferred(()=>${load})`,
    )
    .replace(/\b(import_\w+)(?!\w|=deferred)/g, '$1.module');
  if (/(?<!\(\)=>(?:__toESM\()?)\brequire\(/.test(deferred)) throw new Error('a module is loaded at once');
  return deferred.replace(
    '"use strict";',
    '$&function deferred(load){let loaded;return{get module(){return loaded??=load()}}}',
  );
}

/** Variables get short names. What a stack trace can show keeps its own: functions, classes and methods. */
async function withShortLocals(code: string): Promise<string> {
  // esbuild has made these of declarations.
  const classes = Array.from(code.matchAll(/\b(\w+)=class\b/g), ([, name]) => name!);
  const { code: short } = await minify(code, {
    module: false,
    compress: false,
    mangle: {
      toplevel: true,
      keep_fnames: true,
      keep_classnames: true,
      keep_private_props: true,
      reserved: classes,
    },
    format: { asciiOnly: true },
  });
  return short;
}

/** A line for each statement and each method: Node prints the one that an uncaught error comes from. */
function inLines(code: string): string {
  const starts: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isSourceFile(node.parent) || ts.isClassElement(node)) starts.push(node.getStart());
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(ts.createSourceFile('index.cjs', code, ts.ScriptTarget.ES2022, true), visit);
  let text = '';
  let end = 0;
  for (const start of starts) {
    text += `${code.slice(end, start)}\n`;
    end = start;
  }
  return text.trimStart() + code.slice(end);
}

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

/**
 * The declarations of both modules. Those of the errors are a file, and so a module: within another one, each of the classes
 * would have to be declared three times to be found as `errors.UniqueViolation`.
 */
async function writeDeclarations(directory: string): Promise<void> {
  const errors = resolve('src/errors');
  const apart = {
    name: 'errors-apart',
    resolveId: (source: string, importer: string | undefined) => {
      if (importer === undefined || !source.startsWith('.')) return null;
      const path = resolve(dirname(importer), source);
      const isWithin = dirname(importer) === errors && basename(importer) !== 'namespace.d.ts';
      return dirname(path) === errors && basename(path) !== 'namespace.js' && !isWithin
        ? { id: './errors.cjs', external: true }
        : null;
    },
  };
  const bundle = await rollup({
    input: { index: 'src/index.ts', errors: 'src/errors/public.ts' },
    plugins: [apart, dts()],
    external: /^(node:|diagnostics_channel$)/,
  });
  await bundle.write({ dir: directory, entryFileNames: '[name].d.cts' });
  await bundle.close();
  await writeFile(resolve(directory, 'index.d.ts'), "export * from './index.cjs';\n");
}
