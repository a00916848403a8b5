export { UsingpgDialect, type UsingpgDialectConfig, type UsingpgDialectOptions } from './dialect.js';
export type { ConnectionPool } from './driver.js';
