import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  target: 'node20',
  dts: true,
  sourcemap: true,
  clean: true,
  treeshake: true,
  // p-limit is published as ESM only, so a CommonJS build must carry it; both builds do, to be the same code.
  noExternal: ['p-limit', 'yocto-queue'],
});
