import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Plugin } from 'esbuild';
import ts from 'typescript';

/**
 * The entry of both bundles: what `index` exports, of the first copy that the process loads; `key` names it, and its version. The ES
 * module and the CommonJS module are two copies, and bundles may bring more; with two sets of classes and of global adapters, a `Json` of
 * the one would be an unknown object to the other.
 */
export function oneInstance(index: string, key: string): Plugin {
  return {
    name: 'one-instance',
    setup: (build) => {
      build.onResolve({ filter: /./ }, ({ kind, path }) =>
        kind === 'entry-point' && resolve(path) === resolve(index)
          ? { path, namespace: 'one-instance' }
          : null,
      );
      build.onLoad({ filter: /./, namespace: 'one-instance' }, () => ({
        resolveDir: process.cwd(),
        contents: `import * as own from './${index}';
const instance = (globalThis[Symbol.for('${key}')] ??= named(own));
${exportsOf(exportedBy(index))}

// A bundler that is given this file may rename classes, whose names are printed.
function named(exported) {
  for (const [name, value] of Object.entries(exported)) {
    if (typeof value !== 'function' || value.name === name) continue;
    Object.defineProperty(value, 'name', { value: name, configurable: true });
  }
  return exported;
}
`,
      }));
    },
  };
}

function exportsOf(names: readonly string[]): string {
  const named = names.filter((name) => name !== 'default');
  return `export const { ${named.join(', ')} } = instance;${named.length < names.length ? '\nexport default instance.default;' : ''}`;
}

/** The names of what a file exports that exists at run time. */
function exportedBy(path: string): string[] {
  const { statements } = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022);
  return statements.flatMap((statement) => {
    // An import for what it does, such as the check of Node's version.
    if (ts.isImportDeclaration(statement)) return [];
    if (!ts.isExportDeclaration(statement)) throw new Error(`${path} does more than re-export`);
    const { exportClause, isTypeOnly } = statement;
    if (isTypeOnly || exportClause === undefined || !ts.isNamedExports(exportClause)) return [];
    return exportClause.elements.filter((element) => !element.isTypeOnly).map(({ name }) => name.text);
  });
}
