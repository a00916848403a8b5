import { PACKAGE } from './integrations.js';

/*
 * The two forms of a file that esbuild made as an ES module, `import`s and `export` included. The lines stay where they are, for the sake
 * of the source map.
 */

const IMPORT = /^import \{([^}]*)\} from "([^"]+)";$/gm;
const EXPORT = /^export \{([^}]*)\};/m;

/**
 * Encloses the code in a function. V8 optimises access to the variables of a function better than to those of a module, let alone of
 * another module: a pipeline and a COPY take a tenth less time. Node's modules come from `process.getBuiltinModule()`, which came with Node
 * 20.16: an `import` makes an ES module of each, with all that it exports, which takes a tenth of the time of loading the package.
 */
export function asEsModule(code: string): string {
  const outside = ['import { createRequire } from "node:module";'];
  const modules = new Map<string, string>();
  const body = code.replace(IMPORT, (line: string, names: string, from: string) => {
    if (from.startsWith('node:')) return `var {${asProperties(names)}} = builtInModule("${from}");`;
    // What another module exports may change: it may be evaluated after this one. Bundlers leave out what nobody imports of a package.
    if (!from.startsWith('./') && from !== PACKAGE) {
      outside.push(line.replace(/\s+/g, ' '));
      return line.replace(/.+/g, '');
    }
    const module = modules.get(from) ?? `module${String(modules.size + 1)}`;
    if (!modules.has(from)) outside.push(`import * as ${module} from "${from}";`);
    modules.set(from, module);
    return `var {${asProperties(names)}} = ${module};`;
  });
  const { names, properties, exported } = exportOf(body);
  return (
    `${outside.join(' ')} const exported = (function usingpg() { ` +
    `const builtInModule = process.getBuiltinModule ?? createRequire(process.execPath); ` +
    body.replace(
      exported,
      // As variables of the module, these names would be in the way of those of JavaScript within the function, such as `Error`.
      `return {${properties}};
})();
const {${names.replaceAll(/\w+/g, '$&: $&$')}} = exported;
export {${names.replaceAll(/\w+/g, '$&$ as $&')}};`,
    )
  );
}

export function asCommonJs(code: string): string {
  const body = code
    .replace(
      IMPORT,
      (_, names: string, from: string) => `const {${asProperties(names)}} = require("${from}");`,
    )
    // Loading node:module takes time, and a file of CommonJS has what it would be loaded for.
    .replace('const { createRequire } = require("node:module");', 'const createRequire = () => require;')
    .replace(/\bawait import\(("[^"]+")\)/g, 'require($1)');
  const { names, properties, exported } = exportOf(body);
  return `"use strict"; ${body.replace(
    exported,
    // The last statement tells those who read the code without running it what it exports.
    `module.exports = Object.defineProperty({${properties}}, "__esModule", { value: true });
0 && (module.exports = {${names}});`,
  )}`;
}

/** The names in the braces of an `import`, as those of a pattern. */
function asProperties(names: string): string {
  return names.replaceAll(' as ', ': ');
}

function exportOf(code: string): { exported: string; names: string; properties: string } {
  const [exported, list] = EXPORT.exec(code) ?? [];
  if (exported === undefined) throw new Error('there is no export');
  return {
    exported,
    names: list!.replaceAll(/\w+ as /g, ''),
    properties: list!.replaceAll(/(\w+) as (\w+)/g, '$2: $1'),
  };
}
