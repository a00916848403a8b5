import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { DeclarationReflection } from 'typedoc';
import {
  Application,
  Comment,
  CommentTag,
  Converter,
  ReflectionKind,
  Renderer,
  type ProjectReflection,
  type Reflection,
} from 'typedoc';
import { MemberRouter } from 'typedoc-plugin-markdown';
import { integrations, PACKAGE } from '../integrations.js';
import { conditionsPage } from './conditions-page.js';
import { REPOSITORY_FILES } from './package-links.js';
import { psycopgNames } from './psycopg-names.js';
import { guidesToName, moduleOf, userOf } from './uses.js';

/** Where the reference has each name that a module exports, and each of its members: `AsyncConnection.commit` → `/reference/…`. */
export type Names = Readonly<Record<string, string>>;

/** The names of each module: of `usingpg`, `usingpg/kysely` and so on. */
export type NamesOfModules = Readonly<Record<string, Names>>;

/** The exported names of one topic, or of a subpath, as the sidebar lists them. */
export interface Topic {
  text: string;
  link?: string;
  collapsed: boolean;
  items: { text: string; link: string }[];
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const OUT = `${root}docs/reference/`;

/** The topics, by the folder of what they are about; the first that fits. */
const TOPICS: readonly [start: RegExp, topic: string][] = [
  [/^src\/(?:pool|listener)/, 'Pool'],
  [/^src\/connection\/(?:pipeline|transaction|two-phase|isolation)/, 'Transactions'],
  [/^src\/(?:connection|session|conninfo)/, 'Connection'],
  [/^src\/(?:cursor|column)/, 'Cursors'],
  [/^src\/copy/, 'COPY'],
  [/^src\/rows/, 'Rows'],
  [/^src\/query/, 'Queries'],
  [/^src\/(?:types|catalogue|wire)/, 'Types'],
  [/^src\/errors/, 'Errors'],
  [/^src\/diagnostics/, 'Diagnostics'],
];

/** The category of the subpath exports. */
const SUBPATHS = 'Subpaths';

/** The guide to each subpath export. */
const GUIDES: Readonly<Record<string, readonly [title: string, link: string]>> = {
  drizzle: ['Drizzle', '/guides/drizzle'],
  kysely: ['Kysely', '/guides/kysely'],
  logger: ['Observability', '/guides/observability#a-log-of-statements'],
  opentelemetry: ['OpenTelemetry', '/guides/opentelemetry'],
  pg: ['For what takes pg', '/pg'],
};

/** The file of the classes that there is one of for each SQLSTATE: they have a page together. */
const CONDITIONS = /errors\/conditions\.ts$/;

const KINDS: readonly ReflectionKind[] = [
  ReflectionKind.Namespace,
  ReflectionKind.Class,
  ReflectionKind.Function,
  ReflectionKind.Variable,
  ReflectionKind.Interface,
  ReflectionKind.TypeAlias,
];

/** Members by which Node prints a value, and by which copies of an error class recognise each other; no program calls them. */
const PROTOCOLS: ReadonlySet<string> = new Set(['[INSPECT]', '[custom]', '[hasInstance]']);

/** Reads the docstrings of all that is exported. */
export async function convertReference(): Promise<{ app: Application; project: ProjectReflection }> {
  const app = await Application.bootstrapWithPlugins({
    entryPoints: ['src/index.ts', ...Object.values(integrations())].map((path) => root + path),
    tsconfig: `${root}tools/site/tsconfig.json`,
    skipErrorChecking: true,
    plugin: ['typedoc-plugin-markdown'],
    router: 'by-name',
    name: 'Reference',
    readme: 'none',
    logLevel: 'Warn',
    excludeInternal: true,
    excludeExternals: true,
    categorizeByGroup: false,
    categoryOrder: [...TOPICS.map(([, topic]) => topic), SUBPATHS],
    disableGit: true,
    sort: ['source-order'],
    gitRevision: 'main',
    sourceLinkTemplate: `${REPOSITORY_FILES}src/{path}#L{line}`,
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    ...({
      outputs: [{ name: 'markdown', path: OUT }],
      entryFileName: 'index',
      hidePageHeader: true,
      hideBreadcrumbs: true,
      useCodeBlocks: true,
      expandParameters: true,
      indexFormat: 'table',
      parametersFormat: 'table',
      interfacePropertiesFormat: 'table',
      typeAliasPropertiesFormat: 'table',
      enumMembersFormat: 'table',
      typeDeclarationFormat: 'table',
      tableColumnSettings: { hideSources: true, hideInherited: true, hideModifiers: true },
      sanitizeComments: true,
      useHTMLEncodedBrackets: true,
      pageTitleTemplates: { member: nameOf, module: nameOf, index: 'Reference' },
    } as object),
  });
  app.renderer.defineRouter('by-name', Router);
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    nameModules(project);
    complete(project);
  });
  const project = await app.convert();
  if (project === undefined) throw new Error('the declarations can not be read');
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings())
    throw new Error('the docstrings have mistakes, see above');
  return { app, project };
}

/** Pages by name, those of the errors in a folder, and those of each subpath export. */
class Router extends MemberRouter {
  override getIdealBaseName(reflection: Reflection): string {
    return super.getIdealBaseName(reflection).replace(/^.*\/namespaces\/|^usingpg\//, '');
  }
}

/** A page's title: the name without its type parameters. */
function nameOf({ rawName }: { readonly rawName: string }): string {
  return rawName.replace(/<.*/, '');
}

/** Writes docs/reference: a page for each exported name, one for all SQLSTATEs, and what the site's navigation needs of them. */
export async function writeReference(): Promise<void> {
  const { app, project } = await convertReference();
  await rm(OUT, { recursive: true, force: true });
  let router = app.renderer.router;
  app.renderer.on(Renderer.EVENT_BEGIN, () => {
    router = app.renderer.router;
  });
  await app.generateOutputs(project);
  if (app.logger.hasErrors()) throw new Error('the reference can not be written, see above');
  await writeFile(`${OUT}sqlstates.md`, conditionsPage());

  const linkOf = (reflection: Reflection): string =>
    `/reference/${router!.getFullUrl(reflection).replace(/(?:(?<=\/|^)index)?\.md(?=#|$)/, '')}`;
  const names: Record<string, Names> = {};
  const topics = new Map(
    TOPICS.map(([, text]): [string, Topic] => [text, { text, collapsed: true, items: [] }]),
  );
  for (const module of modulesOf(project)) {
    const places: Record<string, string> = (names[module.isProject() ? PACKAGE : module.name] = {});
    if (!module.isProject())
      topics.set(module.name, { text: module.name, link: linkOf(module), collapsed: true, items: [] });
    for (const exported of exportedNames(module).sort(byKindAndName)) {
      places[exported.getFriendlyFullName()] = linkOf(exported);
      for (const member of exported.children ?? []) {
        if (router!.hasUrl(member)) places[`${exported.name}.${member.name}`] ??= linkOf(member);
      }
      const topic = topics.get(module.isProject() ? topicOf(exported) : module.name)!;
      topic.items.push({ text: exported.name, link: linkOf(exported) });
    }
  }
  topics.get('Errors')!.items.push({ text: 'By SQLSTATE', link: '/reference/sqlstates' });
  await writeFile(`${OUT}names.json`, JSON.stringify(names, null, 1));
  await writeFile(`${OUT}topics.json`, JSON.stringify([...topics.values()], null, 1));
}

/** All that a module exports: the package itself (the project), or a subpath; also what its namespaces have, but the class of an SQLSTATE. */
export function exportedNames(module: ProjectReflection | DeclarationReflection): DeclarationReflection[] {
  return (module.children ?? []).flatMap((exported) => {
    if (exported.kindOf(ReflectionKind.Module)) return [];
    return exported.kindOf(ReflectionKind.Namespace) ? [exported, ...(exported.children ?? [])] : [exported];
  });
}

/** The package itself, and its subpath exports. */
export function modulesOf(project: ProjectReflection): (ProjectReflection | DeclarationReflection)[] {
  return [project, ...project.getChildrenByKind(ReflectionKind.Module)];
}

/** Calls the modules what programs import, and makes the exports of the main entry those of the project. */
function nameModules(project: ProjectReflection): void {
  const subpaths = new Map(Object.entries(integrations()).map(([name, path]) => [root + path, name]));
  for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
    const subpath = subpaths.get(module.sources?.[0]?.fullFileName ?? '');
    if (subpath === undefined) {
      project.mergeReflections(module, project);
      continue;
    }
    const guide = GUIDES[subpath];
    if (guide === undefined) throw new Error(`${PACKAGE}/${subpath} has no guide: name it in GUIDES`);
    const [title, link] = guide;
    module.name = `${PACKAGE}/${subpath}`;
    module.comment = new Comment(
      [{ kind: 'text', text: `What \`${module.name}\` exports. The guide to it: [${title}](${link}).` }],
      [new CommentTag('@category', [{ kind: 'text', text: SUBPATHS }])],
    );
  }
}

/** Classes first, as they are what most readers look for, types last. */
function byKindAndName(a: DeclarationReflection, b: DeclarationReflection): number {
  const rank = ({ kind }: DeclarationReflection): number => KINDS.indexOf(kind);
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

function complete(project: ProjectReflection): void {
  for (const exported of modulesOf(project).flatMap(exportedNames)) {
    if (CONDITIONS.test(fileOf(exported))) project.removeReflection(exported);
    for (const member of exported.children ?? []) {
      if (PROTOCOLS.has(member.name)) project.removeReflection(member);
    }
  }
  const psycopg = psycopgNames(readFileSync(`${root}docs/coming-from/psycopg3.md`, 'utf8'));
  for (const exported of modulesOf(project).flatMap(exportedNames)) {
    const comment = (exported.comment ??= new Comment());
    if (moduleOf(exported).isProject())
      comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: topicOf(exported) }]));
    const user = userOf(exported);
    if (user !== null) {
      const link = { kind: 'inline-tag', tag: '@link', text: user.name, target: user } as const;
      comment.blockTags.push(new CommentTag('@see', [link, { kind: 'text', text: ', where it is used' }]));
    }
    for (const { title, link } of guidesToName(exported)) {
      comment.blockTags.push(new CommentTag('@see', [{ kind: 'text', text: `[${title}](${link})` }]));
    }
    for (const documented of [exported, ...(exported.children ?? [])]) tellPsycopgName(documented, psycopg);
  }
}

/** Adds the name that Psycopg has for it, unless the docstring has it. */
function tellPsycopgName(reflection: DeclarationReflection, names: ReadonlyMap<string, string>): void {
  const name = names.get(reflection.getFriendlyFullName());
  if (name === undefined) return;
  const comment =
    reflection.signatures?.[0]?.comment ?? reflection.getSignature?.comment ?? reflection.comment;
  if (comment === undefined) return;
  const told = comment.summary.map(({ text }) => text).join('');
  if (!/psycopg/i.test(told)) comment.summary.push({ kind: 'text', text: ` (Psycopg: \`${name}\`)` });
}

function topicOf(reflection: DeclarationReflection): string {
  const file = fileOf(reflection);
  const [, topic] = TOPICS.find(([start]) => start.test(file)) ?? [];
  if (topic === undefined)
    throw new Error(`${reflection.name} of ${file} belongs to no topic of the reference`);
  return topic;
}

/** The file that has the declaration, from the root of the project. */
function fileOf(reflection: DeclarationReflection): string {
  const declared = reflection.kindOf(ReflectionKind.Namespace) ? reflection.children?.[0] : reflection;
  return declared?.sources?.[0]?.fullFileName.replace(root, '') ?? '';
}
