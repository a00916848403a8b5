import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { LeanCode } from './lean-code.js';

/**
 * Writes the modules that users load, each of which tells `core.cjs` how to load other modules where it is:
 *
 * - `index.cjs` for `require()`.
 * - `index.js` for `import`, which hands on what the CommonJS module exports.
 * - `bundle.js` for bundlers (the condition `module`), whose output may be of either format: an ES module has no `require()`, and
 *   a CommonJS module has no `import.meta`.
 */
export async function writeEntries(directory: string, { names, modules }: LeanCode): Promise<void> {
  const write = (name: string, code: string): Promise<void> => writeFile(resolve(directory, name), code);
  const loading = (load: (name: string) => string): string =>
    `{\n${modules.map((name) => `  '${name}': () => ${load(name)},\n`).join('')}}`;
  // The second statement is for those who read the names that a CommonJS module exports without running it.
  await write(
    'index.cjs',
    `'use strict';
module.exports = require('./core.cjs')(${loading((name) => `require('${name}')`)});
0 && (module.exports = { ${names.join(', ')} });
`,
  );
  // Node searches a CommonJS module that is imported for names, which takes longer than to run it; and what that requires only
  // if it hands it on at once.
  await write('module.cjs', "const usingpg = require('./index.cjs');\nmodule.exports = usingpg;\n");
  await write(
    'index.js',
    `import usingpg from './module.cjs';\nexport const { ${names.join(', ')} } = usingpg;\n`,
  );
  // Where built-in modules are looked up from makes no difference, as long as it is a path.
  await write(
    'bundle.js',
    `import { createRequire } from 'node:module';
import ${ENGINE} from '${ENGINE}';
import core from './core.cjs';
const builtIn = createRequire(process.execPath);
export const { ${names.join(', ')} } = core(${loading((name) => (name === ENGINE ? name : `builtIn('${name}')`))});
`,
  );
}

/** What is no module of Node's. */
const ENGINE = 'postgres';
