export * from './base.js';
export * from './client.js';
export { Diagnostic } from './diagnostic.js';
export type { ErrorConnection, ErrorPool } from './location.js';
export { conditionClass, lookup, type DatabaseErrorClass } from './lookup.js';
