import { minify } from '@swc/core';
import ts from 'typescript';

/** What a bundle is turned into. */
export interface LeanCode {
  /** A CommonJS module: a function that is given how to load the other modules, by their names, and returns what is exported. */
  readonly code: string;
  /** The names that are exported. */
  readonly names: readonly string[];
  /** The names of the other modules. */
  readonly modules: readonly string[];
}

/** Makes esbuild's bundle, in CommonJS, quicker to load and smaller. Stack traces stay as they are. */
export async function lean(bundle: string): Promise<LeanCode> {
  const { code: exporting, names } = exportedAtOnce(classesByTheirNames(bundle));
  const { code, modules } = loadedWhenUsed(defaultsAsExported(exporting));
  return { code: compiledAtOnce(inLines(await withShortLocals(asFunction(code)))), names, modules };
}

/** esbuild makes `var A = class _A` of a class that mentions itself: `_A` is what messages, stack traces and `util.inspect()` would show. */
function classesByTheirNames(code: string): string {
  const names = Array.from(code.matchAll(/\b(\w+)=class _\1\b/g), ([, name]) => name!);
  return code.replace(new RegExp(`(?<![.#\\w])_(?=(?:${names.join('|')})\\b)`, 'g'), '');
}

/** What is exported is put into an object once it is there; esbuild makes getters for it before, and getters for those. */
function exportedAtOnce(bundle: string): { readonly code: string; readonly names: readonly string[] } {
  // A note of the names for those who read the code without running it.
  const code = bundle.replace(/0&&\(module\.exports=\{[\w$,:]+\}\);?\s*$/, '');
  const exported = /var (\w+)=\{\};__export\(\1,\{([^}]*)\}\);module\.exports=__toCommonJS\(\1\);/;
  const [all, , getters] = exported.exec(code) ?? [];
  if (all === undefined) throw new Error('the exports are not to be found');
  const values = getters!.replaceAll('()=>', '');
  return {
    code: `${code.replace(all, '')}return Object.defineProperty({${values}},"__esModule",{value:!0});`,
    names: values.split(',').map((value) => value.replace(/:.*/, '')),
  };
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
 * connection is opened, and what that does not need never. How, the entry says: a bundler finds no `require()` here to take for
 * one of its own format.
 */
function loadedWhenUsed(code: string): { readonly code: string; readonly modules: readonly string[] } {
  const modules = new Set<string>();
  const deferred = code
    .replace(
      /\b(import_\w+)=(__toESM\(require\("[^"]+"\)\)|require\("[^"]+"\))(?=[,;])/g,
      (_, name: string, load: string) => `${name}=deferred(()=>${load})`,
    )
    .replace(/\b(import_\w+)(?!\w|=deferred)/g, '$1.module')
    .replace(/(?<=\(\)=>(?:__toESM\()?)\brequire\(("[^"]+")\)/g, (_, name: string) => {
      modules.add(JSON.parse(name) as string);
      return `load[${name}]()`;
    });
  if (/\brequire\(/.test(deferred)) throw new Error('a module is loaded at once');
  return {
    code: deferred.replace(
      '"use strict";',
      '$&function deferred(load){let loaded;return{get module(){return loaded??=load()}}}',
    ),
    modules: [...modules].sort(),
  };
}

function asFunction(code: string): string {
  return code.replace('"use strict";', '"use strict";module.exports=function usingpg(load){') + '}';
}

/** V8 goes through a function twice that is not called where it stands, unless it is in parentheses, which the minifier removes. */
function compiledAtOnce(code: string): string {
  return code.replace('module.exports=function', 'module.exports=(function').replace(/\};?\s*$/, '});\n');
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
    if (isOfModule(node) || ts.isClassElement(node)) starts.push(node.getStart());
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

/** Whether it is a statement of the module, or of the function that its code stands in. */
function isOfModule({ parent }: ts.Node): boolean {
  return (
    ts.isSourceFile(parent) ||
    (ts.isBlock(parent) && ts.isFunctionExpression(parent.parent) && parent.parent.name?.text === 'usingpg')
  );
}
