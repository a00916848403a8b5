/**
 * What a composed query is known by, also one of another copy of the package (the ESM and the CommonJS build). JSON has no
 * symbols, so that nothing which came over a network can have it.
 */
export const COMPOSABLE: unique symbol = Symbol.for('usingpg.composable');
