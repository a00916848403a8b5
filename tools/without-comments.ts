import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';
import ts from 'typescript';

/**
 * Leaves comments out of the bundles: a process would read them at each start, and `src` in the package has them. Spaces take
 * their places, for the sake of the source maps.
 */
export const withoutComments: Plugin = {
  name: 'without-comments',
  setup: (build) => {
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: blanked(await readFile(path, 'utf8')),
      loader: 'ts',
    }));
  },
};

function blanked(text: string): string {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.ES2022, true);
  const comments = new Map<number, number>();
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(source);
    if (children.length === 0) {
      const around = [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ];
      for (const { pos, end } of around) comments.set(pos, end);
    }
    children.filter((child) => !ts.isJSDoc(child)).forEach(visit);
  };
  visit(source);
  let code = '';
  let at = 0;
  for (const [pos, end] of [...comments].sort(([a], [b]) => a - b)) {
    code += text.slice(at, pos) + text.slice(pos, end).replace(/\S/g, ' ');
    at = end;
  }
  return code + text.slice(at);
}
