import { posix } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { REPOSITORY_FILES } from './package-links.js';

/** Leads links that leave docs/ to the repository, where the page that has them is read on the site. */
export function repositoryLinks(md: MarkdownRenderer): void {
  md.core.ruler.push('repository-links', ({ tokens, env }) => {
    const { relativePath } = env as { relativePath: string };
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      if (token.type !== 'link_open') continue;
      const href = token.attrGet('href')!;
      if (/^(?:[a-z]+:|[/#])/i.test(href)) continue;
      const path = posix.join('docs', posix.dirname(relativePath), href);
      if (!path.startsWith('docs/')) token.attrSet('href', REPOSITORY_FILES + path);
    }
  });
}
