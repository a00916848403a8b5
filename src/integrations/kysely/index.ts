export { UsingpgDialect, type UsingpgDialectConfig } from './dialect.js';
export type { ConnectionPool } from './driver.js';
