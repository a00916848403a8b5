import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { rollup, type Plugin } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import ts from 'typescript';
import { isMainEntry, PACKAGE } from './integrations.js';

/**
 * The declarations of both modules. Those of the errors are a file, and so a module: within another one, each of the classes
 * would have to be declared three times to be found as `errors.UniqueViolation`.
 */
export async function writeDeclarations(directory: string): Promise<void> {
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
  await declare(directory, { index: 'src/index.ts', errors: 'src/errors/public.ts' }, apart);
  const index = resolve(directory, 'index.d.cts');
  await writeFile(index, withOpaqueInternals(await readFile(index, 'utf8')));
  // Once more: what only those had to do with is left out.
  await declare(directory, { index });
  await writeFile(resolve(directory, 'index.d.ts'), "export * from './index.cjs';\n");
}

/**
 * The declarations of the subpath exports, in full for each format: an ES module's imports are those of the peer's ES module, whose
 * classes are other types than those of its CommonJS module.
 */
export async function writeIntegrationDeclarations(
  directory: string,
  entries: Record<string, string>,
): Promise<void> {
  const mainEntryApart = {
    name: 'main-entry-apart',
    resolveId: (source: string, importer: string | undefined) =>
      importer !== undefined && isMainEntry(source, importer) ? { id: PACKAGE, external: true } : null,
  };
  for (const [name, path] of Object.entries(entries)) {
    await declare(directory, { [name]: path }, mainEntryApart);
    await copyFile(resolve(directory, `${name}.d.cts`), resolve(directory, `${name}.d.ts`));
  }
}

async function declare(
  directory: string,
  input: Record<string, string>,
  ...plugins: Plugin[]
): Promise<void> {
  const bundle = await rollup({
    input,
    plugins: [...plugins, dts()],
    external: /^(node:|diagnostics_channel$|\.\/errors\.cjs$)/,
  });
  await bundle.write({ dir: directory, entryFileNames: '[name].d.cts' });
  await bundle.close();
}

/** Of a class that is `@internal` as a whole, users can have an instance at most: its private fields say that no other will do. */
function withOpaqueInternals(declarations: string): string {
  let text = declarations;
  const source = ts.createSourceFile('index.d.cts', declarations, ts.ScriptTarget.ES2022, true);
  for (const statement of source.statements.toReversed()) {
    if (!ts.isClassDeclaration(statement) || !ts.getJSDocTags(statement).some(isInternal)) continue;
    const seen = statement.members.filter(({ name }) => name === undefined || !ts.isPrivateIdentifier(name));
    for (const { pos, end } of [...(statement.heritageClauses ?? []), ...seen].toReversed()) {
      text = text.slice(0, pos) + text.slice(end);
    }
  }
  return text;
}

function isInternal({ tagName }: ts.JSDocTag): boolean {
  return tagName.text === 'internal';
}
