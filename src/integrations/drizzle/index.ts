export { drizzle, UsingpgDatabase, type DrizzleClient } from './database.js';
export { migrate } from './migrate.js';
export type { IteratedQuery, IteratorOptions } from './iterator.js';
export { UsingpgTransaction, type UsingpgQueryResult, type UsingpgQueryResultHKT } from './session.js';
