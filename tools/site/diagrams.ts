import { Graphviz } from '@hpcc-js/wasm-graphviz';
import type { MarkdownRenderer } from 'vitepress';

const graphviz = await Graphviz.load();

/** What every diagram is drawn with, unless it says otherwise. */
const STYLE = `
  graph [fontname="Helvetica", fontsize=11, bgcolor="transparent", ranksep=0.35, nodesep=0.25, style="rounded", pad=0.1];
  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded", margin="0.2,0.07"];
  edge [fontname="Helvetica", fontsize=10, arrowsize=0.7];`;

/** Draws the code blocks that are in DOT: \`\`\`dot, a title, and the graph. */
export function diagrams(md: MarkdownRenderer): void {
  const fence = md.renderer.rules.fence!;
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const { info, content } = tokens[index]!;
    const [, title] = /^dot\b *(.*)$/.exec(info.trim()) ?? [];
    return title === undefined ? fence(tokens, index, ...rest) : drawing(content, md.utils.escapeHtml(title));
  };
}

/** The drawing in the colours of the text around it, in which both themes are readable. */
function drawing(source: string, title: string): string {
  const svg = graphviz
    .dot(source.replace('{', `{${STYLE}`))
    .replace(/^[^]*?(?=<svg)/, '')
    .replaceAll(/<title>.*?<\/title>|<!--.*?-->| id="[^"]*"/g, '')
    .replaceAll(/(stroke|fill)="black"/g, '$1="currentColor"')
    .replace('<svg', `<svg role="img" aria-label="${title}"`)
    .replaceAll(/\n+/g, '\n');
  return `<figure class="diagram" tabindex="0" v-pre>${svg}<figcaption>${title}</figcaption></figure>\n`;
}
