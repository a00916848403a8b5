const IMPORT = /^import [^;]*;/gm;
const EXPORT = /^export \{([^}]*)\};/m;

/**
 * Encloses the code of an ES module in a function. V8 optimises access to the variables of a function better than to those of
 * a module: a pipeline and a COPY take a tenth less time. The lines stay where they are, for the sake of the source map.
 */
export function inAFunction(code: string): string {
  const [exported, names] = EXPORT.exec(code) ?? [];
  if (exported === undefined) throw new Error('there is no export');
  const imports = Array.from(code.matchAll(IMPORT), ([line]) => line);
  const values = names!.replaceAll(/(\w+) as (\w+)/g, '$2: $1');
  const body = code.replaceAll(IMPORT, '').replace(
    exported,
    `return {${values}};
})();
export const {${names!.replaceAll(/\w+ as /g, '')}} = exported;`,
  );
  return `${imports.join(' ')} const exported = (function usingpg() { ${body}`;
}
