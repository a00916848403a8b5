// Makes a bundle: node build.mjs TOOL FORMAT ENTRY DIRECTORY. Whatever a tool warns of is an error.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const [tool, format, entry, directory] = process.argv.slice(2);
const file = format === 'esm' ? 'app.mjs' : 'app.cjs';

async function esbuild(options = {}) {
  const { build } = await import('esbuild');
  const outfile = join(directory, file);
  const { warnings } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format,
    outfile,
    logLevel: 'silent',
    ...options,
  });
  return warnings;
}

const tools = {
  esbuild,
  // Conditions of one's own take the place of "module".
  'esbuild with conditions': () => esbuild({ conditions: ['production'] }),
  // As SST and most who make one file for Lambda call it.
  'esbuild for Lambda': () =>
    esbuild({
      target: 'node20',
      mainFields: ['module', 'main'],
      minify: true,
      keepNames: true,
      sourcemap: true,
    }),
  tsup: async () => {
    const { build } = await import('tsup');
    await build({
      config: false,
      entry: { app: entry },
      format,
      outDir: directory,
      noExternal: [/./],
      platform: 'node',
      silent: true,
      outExtension: () => ({ js: format === 'esm' ? '.mjs' : '.cjs' }),
    });
    return [];
  },
  webpack: async () => {
    const { default: webpack } = await import('webpack');
    const isModule = format === 'esm';
    const stats = await new Promise((done, failed) =>
      webpack(
        {
          mode: 'production',
          target: 'node20',
          entry: resolve(entry),
          experiments: { outputModule: isModule },
          output: {
            path: directory,
            filename: file,
            module: isModule,
            chunkFormat: isModule ? 'module' : 'commonjs',
            library: { type: isModule ? 'module' : 'commonjs2' },
          },
        },
        (error, result) => (error ? failed(error) : done(result)),
      ),
    );
    const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
    return [...errors, ...warnings];
  },
  rollup: async () => {
    const { rollup } = await import('rollup');
    const { nodeResolve } = await import('@rollup/plugin-node-resolve');
    const warnings = [];
    const bundle = await rollup({
      input: entry,
      plugins: [nodeResolve({ preferBuiltins: true })],
      external: [/^node:/],
      onwarn: (warning) => warnings.push(warning),
    });
    // One file: whoever has this option can't have a second one.
    await bundle.write({ file: join(directory, file), format });
    return warnings;
  },
  'Vite SSR': async () => {
    const { build } = await import('vite');
    await build({
      logLevel: 'error',
      build: {
        ssr: entry,
        outDir: directory,
        rollupOptions: { output: { format, entryFileNames: file } },
      },
      ssr: { noExternal: true },
    });
    return [];
  },
};

await mkdir(directory, { recursive: true });
const warnings = await tools[tool]();
if (warnings.length > 0) throw new Error(JSON.stringify(warnings, null, 1));
