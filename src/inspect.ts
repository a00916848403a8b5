/** The method by which an object controls its output in Node's `util.inspect()` and so in `console.log()`. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** `util.inspect()` itself, which it passes as third argument; using it avoids an import of `node:util`. */
export type Inspect = (value: unknown, options: unknown) => string;
