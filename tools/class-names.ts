/**
 * esbuild makes `var A = class _A` of a class that mentions itself, and `_A` would be shown by messages, stack traces and
 * `util.inspect()`. The underscore becomes a space, so that the source map stays right.
 */
export function withClassNames(code: string): string {
  const names = Array.from(code.matchAll(/\b(\w+) = class _\1\b/g), ([, name]) => name!);
  return names.length === 0
    ? code
    : code.replace(new RegExp(`(?<![.#\\w$])_(?=(?:${names.join('|')})\\b)`, 'g'), ' ');
}
