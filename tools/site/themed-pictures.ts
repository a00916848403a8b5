import type { MarkdownRenderer } from 'vitepress';

const PICTURE =
  /<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*<img alt="([^"]+)" src="([^"]+)">\s*<\/picture>/g;

/**
 * Shows the image of the theme that the reader has chosen. A `<picture>`, as GitHub wants it, would show that of his system, whatever he has
 * chosen here.
 */
export function themedPictures(md: MarkdownRenderer): void {
  md.core.ruler.push('themed-pictures', ({ tokens }) => {
    for (const token of tokens) {
      if (token.type !== 'html_block') continue;
      token.content = token.content.replace(
        PICTURE,
        (_, dark: string, alt: string, light: string) =>
          `<figure><img class="light-only" alt="${alt}" src="${relative(light)}"><img class="dark-only" alt="${alt}" src="${relative(dark)}"></figure>`,
      );
    }
  });
}

function relative(path: string): string {
  return path.startsWith('.') ? path : `./${path}`;
}
