import { minify } from '@swc/core';
import ts from 'typescript';

/** Makes esbuild's bundle, in CommonJS, quicker to load and smaller. Stack traces stay as they are. */
export async function lean(bundle: string): Promise<string> {
  const code = requiredWhenUsed(defaultsAsExported(exportedAtOnce(classesByTheirNames(bundle))));
  return inLines(await withShortLocals(code));
}

/** esbuild makes `var A = class _A` of a class that mentions itself: `_A` is what messages, stack traces and `util.inspect()` would show. */
function classesByTheirNames(code: string): string {
  const names = Array.from(code.matchAll(/\b(\w+)=class _\1\b/g), ([, name]) => name!);
  return code.replace(new RegExp(`(?<![.#\\w])_(?=(?:${names.join('|')})\\b)`, 'g'), '');
}

/** What is exported is put into an object once it is there; esbuild makes getters for it before, and getters for those. */
function exportedAtOnce(code: string): string {
  const exported =
    /var index_exports=\{\};__export\(index_exports,\{([^}]*)\}\);module\.exports=__toCommonJS\(index_exports\);/;
  const [all, getters] = exported.exec(code) ?? [];
  if (all === undefined) throw new Error('the exports are not to be found');
  const values = getters!.replaceAll('()=>', '');
  return `${code.replace(all, '')}Object.defineProperty(module.exports={${values}},"__esModule",{value:!0});`;
}

/**
 * The default export of a module that says that it is an ES module, as postgres.js is to Bun's `require()`, is its own. esbuild would
 * take the whole module for it, as Node's `import` does.
 */
function defaultsAsExported(code: string): string {
  return code.replace(/(\b__toESM\(require\("[^"]+"\)),1\)/g, '$1)');
}

/**
 * Other modules are loaded where the code first gets there, as `import defer` is going to have it: most of them when the first
 * connection is opened, and what that does not need never.
 */
function requiredWhenUsed(code: string): string {
  const deferred = code
    .replace(
      /\b(import_\w+)=(__toESM\(require\("[^"]+"\)\)|require\("[^"]+"\))(?=[,;])/g,
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
