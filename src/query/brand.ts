/**
 * Marks a composed query, including one from another copy of the package (the ESM or the CommonJS build). Data parsed from JSON
 * cannot have the mark, since JSON has no symbols.
 */
export const COMPOSABLE: unique symbol = Symbol.for('usingpg.composable');

/** Marks a value with a type of its own, such as `new Jsonb(…)` or a range, of any copy of the package. */
export const TYPED: unique symbol = Symbol.for('usingpg.typed');
