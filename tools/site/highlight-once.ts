import type { MarkdownRenderer } from 'vitepress';

/**
 * A build renders each page for the browser, for its HTML and for the search, and the reference repeats code. The colours of code are most of
 * that work, so equal code gets them once.
 */
const highlighted = new Map<string, string>();

/** Keeps the colours of code that was highlighted before. */
export function highlightOnce(md: MarkdownRenderer): void {
  const highlight = md.options.highlight!;
  md.options.highlight = (code, language, attributes) => {
    const key = JSON.stringify([code, language, attributes]);
    let html = highlighted.get(key);
    if (html === undefined) highlighted.set(key, (html = highlight(code, language, attributes)));
    return html;
  };
}
