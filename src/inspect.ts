/** How an object tells Node's `util.inspect()`, and so `console.log()`, what to print of it. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** What `util.inspect()` hands over as the third argument, so that nobody has to import `node:util`. */
export type Inspect = (value: unknown, options: unknown) => string;
