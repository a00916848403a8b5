import { conditionClass } from './lookup.js';
import * as others from './public.js';
import { SQLSTATES } from './sqlstate.js';

// A file of JavaScript, as TypeScript can't say of an object that it has the types of a module; namespace.d.ts does.

/** What public.ts declares: a module would have to make each of its classes to be loaded. */
export const errors = Object.assign(Object.create(null), others);
for (const name of Object.keys(SQLSTATES)) {
  Object.defineProperty(errors, name, { enumerable: true, get: () => conditionClass(name) });
}
Object.freeze(errors);
