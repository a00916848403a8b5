import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A page that is written by hand. */
export interface Guide {
  readonly title: string;
  readonly link: string;
  /** Its samples of code. */
  readonly code: string;
}

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));

/** All pages with samples, in English. */
export function allGuides(): Guide[] {
  return readdirSync(docs, { recursive: true, encoding: 'utf8' })
    .filter((path) => /^(?!reference\/|zh\/|\.).*\.md$/.test(path))
    .sort()
    .map((path) => {
      const text = readFileSync(docs + path, 'utf8');
      const code = [...text.matchAll(/^```ts\b.*\n([^]*?)^```$/gm)].map(([, sample]) => sample).join('\n');
      return { title: /^# (.*)$/m.exec(text)?.[1] ?? path, link: `/${path.replace(/\.md$/, '')}`, code };
    })
    .filter(({ code }) => code !== '');
}

/** Whether code, or a page with code, imports a module. */
export function isImported(module: string, code: string): boolean {
  return new RegExp(`(?:from |import\\(|require\\()'${module}'`).test(code);
}

/** The three pages whose samples use a name most. */
export function guidesTo(name: string, guides: readonly Guide[]): Guide[] {
  const pattern = new RegExp(`(?<![\\w.])${name.replace('.', '\\.')}\\b`, 'g');
  return guides
    .map((guide) => ({ guide, uses: guide.code.match(pattern)?.length ?? 0 }))
    .filter(({ uses }) => uses > 0)
    .sort((a, b) => b.uses - a.uses)
    .slice(0, 3)
    .map(({ guide }) => guide);
}
