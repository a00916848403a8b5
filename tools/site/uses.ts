import {
  DeclarationReflection,
  makeRecursiveVisitor,
  ReflectionKind,
  type ProjectReflection,
  type Reflection,
  type SomeType,
} from 'typedoc';
import { allGuides, guidesTo, isImported, type Guide } from './guides.js';

const guides = allGuides();

/** The pages that show a name in use: of a subpath's, those that import the subpath. */
export function guidesToName(exported: DeclarationReflection): Guide[] {
  const module = moduleOf(exported);
  const importing = module.isProject() ? guides : guides.filter(({ code }) => isImported(module.name, code));
  return guidesTo(exported.getFriendlyFullName(), importing);
}

/** What exports a name: the project, as what `usingpg` exports is in it, or the module of a subpath. */
export function moduleOf(reflection: Reflection): ProjectReflection | DeclarationReflection {
  let at = reflection;
  while (!at.kindOf(ReflectionKind.Project | ReflectionKind.Module)) at = at.parent!;
  return at as ProjectReflection | DeclarationReflection;
}

/** Whether its docstring, or that of one of its members, shows an example. */
export function hasExample(exported: DeclarationReflection): boolean {
  for (const { comment } of declarationsIn(exported)) {
    if (comment?.blockTags.some(({ tag }) => tag === '@example')) return true;
  }
  return false;
}

/**
 * An exported name that shows how another is used, by an example of its own or on a page: one that has it in a signature, or that has one in
 * a signature which has it, and so on; of an error, the namespace. null for a name that needs none, and for one that nothing leads to.
 */
export function userOf(exported: DeclarationReflection): DeclarationReflection | null {
  if (isShown(exported)) return null;
  const exports = moduleOf(exported).children ?? [];
  const users = exports.filter((each) => !each.kindOf(ReflectionKind.Namespace | ReflectionKind.Module));
  const seen = new Set<DeclarationReflection>([exported]);
  for (const used of seen) {
    const found = users.filter((user) => user !== used && namesIn(user).has(used.name));
    const shown = found.find(isShown);
    if (shown !== undefined) return shown;
    for (const user of found) seen.add(user);
  }
  const { parent } = exported;
  return parent instanceof DeclarationReflection && isShown(parent) ? parent : null;
}

/** Whether a name has an example, or a page that shows it in use. */
export function isShown(exported: DeclarationReflection): boolean {
  return hasExample(exported) || guidesToName(exported).length > 0;
}

const known = new WeakMap<DeclarationReflection, Set<string>>();

/** The names of the types that an exported name has in its signatures. */
function namesIn(exported: DeclarationReflection): Set<string> {
  let names = known.get(exported);
  if (names === undefined) {
    known.set(exported, (names = new Set()));
    const visitor = makeRecursiveVisitor({
      reference: ({ name }) => {
        names!.add(name);
      },
    });
    for (const reflection of declarationsIn(exported)) {
      for (const type of typesOf(reflection)) type.visit(visitor);
    }
  }
  return names;
}

function typesOf(reflection: Reflection): SomeType[] {
  const { type, extendedTypes, implementedTypes } = reflection as Partial<DeclarationReflection>;
  return [type, ...(extendedTypes ?? []), ...(implementedTypes ?? [])].filter((each) => each !== undefined);
}

/** A reflection and all that is declared within it: members, signatures, parameters. */
function* declarationsIn(reflection: Reflection): Generator<Reflection> {
  yield reflection;
  const within: Reflection[] = [];
  reflection.traverse((child) => {
    within.push(child);
    return true;
  });
  for (const child of within) yield* declarationsIn(child);
}
