const IMPORT = /^import \{([^}]*)\} from "(node:[^"]+)";$/gm;

/**
 * Takes Node's modules from `process.getBuiltinModule()`, which came with Node 20.16: an `import` makes an ES module of each, with all that it
 * exports, which takes a tenth of the time of loading the package. The lines stay where they are, for the sake of the source map.
 */
export function withBuiltInModules(code: string): string {
  const [module] = /^import \{ createRequire \} from "node:module";$/m.exec(code) ?? [];
  if (module === undefined) throw new Error('node:module is not imported');
  return code
    .replace(module, '')
    .replace(
      IMPORT,
      (_, names: string, name: string) =>
        `var {${names.replaceAll(' as ', ': ')}} = builtInModule("${name}");`,
    )
    .replace(
      /^/,
      `${module} const builtInModule = process.getBuiltinModule ?? createRequire(process.execPath); `,
    );
}
