import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import ts from 'typescript';
import * as usingpg from '../../src/index.js';
import { integrations } from '../../tools/integrations.js';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A piece of TypeScript that users are shown, and where. */
export interface Sample {
  readonly place: string;
  readonly code: string;
  /** Whether it is not to be run: ```` ```ts compiled ````, as it is of other hosts, or a part of a larger program. */
  readonly onlyCompiled: boolean;
}

/** The pages that are written by hand. */
export const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...files('docs', '.md').filter((name) => !/^docs\/(?:reference|\.vitepress)\//.test(name)),
];

/** What samples take for granted, to the compiler; a test that runs them makes what they need of it. */
const NAMES = `
declare const client: import('pg').Client, cur: AsyncCursor, source: AsyncConnection, target: AsyncConnection;
declare const conn: AsyncConnection, pool: AsyncConnectionPool, copy: AsyncCopy, card: CompositeInfo | null;
declare const id: number, from: number, to: number, limit: number, ids: number[], table: string, columns: string[], name: string, founded: number | null;
declare const cities: { id: number; name: string }[], rows: [number, string][];
declare const lookForJobs: () => Promise<void>, runJob: (payload: string) => Promise<void>, stringify: (value: unknown) => string;
declare class Decimal { constructor(text: string); toFixed(): string }
declare class Point { x: number; y: number }
`;

/** A module that an example imports, and that is not here. */
const MODULES = `declare module 'lossless-json' { export function parse(text: string): unknown }`;

export function files(folder: string, end: string): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => `${folder}/${name}`);
}

export function samplesOfPage(path: string): Sample[] {
  const text = readFileSync(root + path, 'utf8');
  return [...text.matchAll(/^```ts( compiled)?\n(.*?)^```$/gms)].map(({ index, 1: compiled, 2: code }) => ({
    place: `${path}:${String(lineOf(text, index) + 1)}`,
    code: code!.trimEnd(),
    onlyCompiled: compiled !== undefined,
  }));
}

export function samplesOfDocstrings(path: string): Sample[] {
  const text = readFileSync(root + path, 'utf8');
  return [...text.matchAll(/^ *\* @example\n(.*?)(?=^ *\*(?:\/| @))/gms)].map(({ index, 1: lines }) => ({
    place: `${path}:${String(lineOf(text, index) + 1)}`,
    code: lines!.replace(/^ *\* ?/gm, '').trimEnd(),
    onlyCompiled: true,
  }));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** What the compiler has against samples, each a module of its own that has all that the package exports, and `NAMES`. */
export function mistakesIn(samples: readonly Sample[]): string[] {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)).config,
    ts.sys,
    root,
  );
  const sources = new Map(
    samples.map((sample, index) => [
      `${root}test/site/sample-${String(index)}.ts`,
      { sample, text: asModule(sample.code, NAMES) },
    ]),
  );
  const host = ts.createCompilerHost({ ...options });
  const onDisk = { ...host };
  const modules = `${root}test/site/sample-modules.d.ts`;
  const made = (path: string): string | undefined => (path === modules ? MODULES : sources.get(path)?.text);
  host.fileExists = (path) => made(path) !== undefined || onDisk.fileExists(path);
  host.readFile = (path) => made(path) ?? onDisk.readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = made(path);
    // The language version also says that the sample is an ES module.
    return text === undefined
      ? onDisk.getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, text, languageVersion, true);
  };
  const program = ts.createProgram(
    [modules, ...sources.keys()],
    {
      ...options,
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths: {
        usingpg: [`${root}src/index.ts`],
        ...Object.fromEntries(
          Object.entries(integrations()).map(([name, path]) => [`usingpg/${name}`, [root + path]]),
        ),
      },
    },
    host,
  );
  return [...sources].flatMap(([path, { sample, text }]) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ start, messageText }) =>
        `${sample.place}: ${text.slice(start, text.indexOf('\n', start))}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  });
}

/** A module that does what a sample says, with all that the package exports, and what `prelude` declares, in its reach. */
function asModule(code: string, prelude: string, parameters: readonly string[] = []): string {
  const imports = [...code.matchAll(/^import [^;]*;.*\n/gm)].map(([line]) => line);
  const imported = new Set(imports.flatMap(namesOf));
  const names = Object.keys(usingpg).filter((name) => !imported.has(name));
  const modules = [
    "import { pipeline } from 'node:stream/promises';",
    "import { createReadStream, createWriteStream } from 'node:fs';",
    "import { createGunzip, createGzip } from 'node:zlib';",
    "import { Temporal } from 'temporal-polyfill';",
    "import { z } from 'zod';",
  ].filter((line) => !namesOf(line).some((name) => imported.has(name)));
  return `import { ${names.join(', ')} } from 'usingpg';
${modules.join('\n')}
${imports.join('')}
${prelude}
export default async ({ ${parameters.join(', ')} }: any): Promise<void> => {{
${imports.reduce((rest, line) => rest.replace(line, ''), code)}
}};
`;
}

/** The names that an import declares. */
function namesOf(line: string): string[] {
  return line
    .slice(0, line.lastIndexOf(' from '))
    .match(/\w+/g)!
    .filter((name) => name !== 'import');
}

/** Runs a sample, with the values of `world` under their names, and `modules` in place of those of Node. */
export async function evaluate(
  code: string,
  world: object,
  modules: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { outputText } = ts.transpileModule(asModule(code, '', Object.keys(world)), {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2022,
      esModuleInterop: true,
    },
  });
  const require = createRequire(import.meta.url);
  const exports: { default?: (world: object) => Promise<void> } = {};
  compileFunction(outputText, ['exports', 'require'])(exports, (name: string): unknown =>
    name === 'usingpg' ? usingpg : (modules[name] ?? require(name)),
  );
  await exports.default!(world);
}
