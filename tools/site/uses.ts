import {
  makeRecursiveVisitor,
  ReflectionKind,
  type DeclarationReflection,
  type ProjectReflection,
  type Reflection,
  type SomeType,
} from 'typedoc';

/** Whether its docstring, or that of one of its members, shows an example. */
export function hasExample(exported: DeclarationReflection): boolean {
  for (const { comment } of declarationsIn(exported)) {
    if (comment?.blockTags.some(({ tag }) => tag === '@example')) return true;
  }
  return false;
}

/**
 * An exported name whose example shows how another is used: one that has it in a signature, or that has one in a signature which has it, and
 * so on. null for a name that has an example of its own, and for one that no example leads to.
 */
export function userOf(
  exported: DeclarationReflection,
  project: ProjectReflection,
): DeclarationReflection | null {
  if (hasExample(exported)) return null;
  const users = (project.children ?? []).filter((each) => !each.kindOf(ReflectionKind.Namespace));
  const seen = new Set<DeclarationReflection>([exported]);
  for (const used of seen) {
    const found = users.filter((user) => user !== used && namesIn(user).has(used.name));
    const shown = found.find(hasExample);
    if (shown !== undefined) return shown;
    for (const user of found) seen.add(user);
  }
  return null;
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
