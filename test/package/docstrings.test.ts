import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { integrations } from '../../tools/integrations.js';

const entries = ['src/index.ts', ...Object.values(integrations())].map((path) =>
  fileURLToPath(new URL(`../../${path}`, import.meta.url)),
);
const config = fileURLToPath(new URL('../../tsconfig.json', import.meta.url));
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(config, (path) => ts.sys.readFile(path)).config,
  ts.sys,
  fileURLToPath(new URL('../..', import.meta.url)),
);
const program = ts.createProgram(entries, { ...options, noEmit: true });
const checker = program.getTypeChecker();

/** An exported symbol, or a member of one, as messages name it. */
interface Documented {
  readonly name: string;
  readonly symbol: ts.Symbol;
}

const exported = entries.flatMap((entry) =>
  exportsOf(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!, ''),
);

/** The exports of a module, and those of the namespaces that it exports. */
function exportsOf(module: ts.Symbol, prefix: string): Documented[] {
  return checker.getExportsOfModule(module).flatMap((alias) => {
    const symbol = (alias.flags & ts.SymbolFlags.Alias) === 0 ? alias : checker.getAliasedSymbol(alias);
    const name = `${prefix}${alias.name}`;
    const isModule = (symbol.flags & ts.SymbolFlags.ValueModule) !== 0;
    return isModule ? exportsOf(symbol, `${name}.`) : [{ name, symbol }];
  });
}

/** The public members that the declarations of an export contain. */
function membersOf({ name, symbol }: Documented): Documented[] {
  const members = (symbol.declarations ?? []).flatMap((declaration): ts.NamedDeclaration[] => {
    if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) {
      return [...declaration.members];
    }
    if (ts.isTypeAliasDeclaration(declaration) && ts.isTypeLiteralNode(declaration.type)) {
      return [...declaration.type.members];
    }
    return [];
  });
  return members.filter(isPublic).flatMap((member) => {
    const found = checker.getSymbolAtLocation(member.name!);
    return found === undefined ? [] : [{ name: `${name}.${member.name!.getText()}`, symbol: found }];
  });
}

function isPublic(member: ts.NamedDeclaration): boolean {
  // A member that a symbol names is called by the language or by the runtime.
  if (member.name === undefined || !ts.isIdentifier(member.name)) return false;
  const modifiers = ts.getCombinedModifierFlags(member);
  if ((modifiers & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) !== 0) return false;
  return ts.getJSDocTags(member).every(({ tagName }) => tagName.text !== 'internal');
}

/** The text of a symbol's docstring, with its tags; empty if it has none. An override inherits that of its base. */
function docstringOf({ symbol }: Documented): string {
  const tags = symbol.getJsDocTags(checker).map(({ text }) => ts.displayPartsToString(text));
  return [ts.displayPartsToString(symbol.getDocumentationComment(checker)), ...tags].join(' ').trim();
}

const documented = [...exported, ...exported.flatMap(membersOf)];

describe('the docstrings', () => {
  it('exist for every export and every public member', () => {
    expect(exported.length).toBeGreaterThan(150);
    expect(documented.length).toBeGreaterThan(600);
    expect(documented.filter((item) => docstringOf(item) === '').map(({ name }) => name)).toEqual([]);
  });

  it('name the unit of every duration', () => {
    const durations = documented.filter(({ name }) =>
      /\.(?:timeout|[a-z]\w*Timeout|max(?:Lifetime|Idle)|leakThreshold|keepalive|delay|seconds)$/.test(name),
    );
    expect(durations.length).toBeGreaterThan(15);
    expect(durations.filter((item) => !/seconds/i.test(docstringOf(item))).map(({ name }) => name)).toEqual(
      [],
    );
  });
});
