import type { MarkdownRenderer } from 'vitepress';
import { PACKAGE } from '../integrations.js';
import { isImported } from './guides.js';
import type { Names, NamesOfModules } from './reference.js';

/** The classes of the variables by which the pages call them. */
const VARIABLES: Readonly<Record<string, string>> = {
  conn: 'AsyncConnection',
  'conn.adapters': 'AdaptersMap',
  'conn.info': 'ConnectionInfo',
  cur: 'AsyncCursor',
  copy: 'AsyncCopy',
  pipeline: 'AsyncPipeline',
  pool: 'AsyncConnectionPool',
  tx: 'AsyncTransaction',
};

/**
 * Leads the first mention of each exported name of a page, and of each method, to its place in the reference. Names of a subpath are
 * linked on pages that import it: on others, `Pool` is another library's.
 */
export function referenceLinks(md: MarkdownRenderer, modules: NamesOfModules): void {
  const subpaths = Object.keys(modules).filter((name) => name !== PACKAGE);
  const places: Names = Object.fromEntries(
    subpaths.map((name) => [name, name.replace(PACKAGE, '/reference') + '/']),
  );
  const isLinked = Symbol('names that this page has linked');
  md.core.ruler.push('reference-links', (state) => {
    const env = state.env as { relativePath?: string; [isLinked]?: Set<string> };
    if (env.relativePath === undefined || env.relativePath.startsWith('reference/')) return;
    const linked = (env[isLinked] = new Set<string>());
    const imported = subpaths.filter((name) => isImported(name, state.src)).map((name) => modules[name]!);
    const names = [places, modules[PACKAGE]!, ...imported].reduce((all, some) => ({ ...all, ...some }));
    state.tokens.forEach((token, i) => {
      if (token.type !== 'inline' || state.tokens[i - 1]!.type === 'heading_open') return;
      let depth = 0;
      token.children = token.children!.flatMap((child) => {
        if (child.type === 'link_open') depth++;
        if (child.type === 'link_close') depth--;
        const href = child.type === 'code_inline' && depth === 0 ? placeOf(child.content, names) : undefined;
        if (href === undefined || linked.has(href)) return [child];
        linked.add(href);
        const open = new state.Token('link_open', 'a', 1);
        open.attrSet('href', href);
        return [open, child, new state.Token('link_close', 'a', -1)];
      });
    });
  });
}

/** Where the reference has what a piece of code names, if that is one thing. */
function placeOf(code: string, names: Names): string | undefined {
  const [, name] = /^(?:new )?([\w./]+)(?:\(.*\))?$/.exec(code) ?? [];
  if (name === undefined) return undefined;
  const dot = name.lastIndexOf('.');
  const owner = VARIABLES[name.slice(0, Math.max(dot, 0))];
  const key = owner === undefined ? name : `${owner}${name.slice(dot)}`;
  return Object.hasOwn(names, key) ? names[key] : undefined;
}
