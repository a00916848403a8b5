export { adapters } from './adapt/adapters.js';
export type { AdaptersMap, DumpedParam, Dumper, Loader, TypeEntry } from './adapt/adapters-map.js';
export {
  Float4,
  Float8,
  Int2,
  Int4,
  Int8,
  Json,
  Jsonb,
  Numeric,
  Oid,
  type JsonOptions,
} from './adapt/wrappers.js';
export type { Column } from './column.js';
export {
  AsyncConnection,
  type ConnectOptions,
  type CursorFactory,
  type NoticeHandler,
  type Query,
} from './connection/connection.js';
export { ConnectionInfo, ConnStatus } from './connection/info.js';
export { IsolationLevel } from './connection/isolation-level.js';
export { AsyncTransaction, Rollback, type TransactionOptions } from './connection/transaction.js';
export { conninfoToDict, makeConninfo, type ConninfoParams } from './conninfo/index.js';
export {
  AsyncCursor,
  type CursorOptions,
  type ExecuteManyOptions,
  type ExecuteOptions,
} from './cursor/cursor.js';
export * as errors from './errors/index.js';
export {
  AsyncConnectionPool,
  type CheckoutOptions,
  type ConninfoSource,
  type ExecuteResult,
} from './pool/connection-pool.js';
export type { PoolOptions } from './pool/options.js';
export type { PoolStats } from './pool/statistics.js';
export type { Params } from './query/placeholders.js';
export {
  argsRow,
  classRow,
  dictRow,
  kwargsRow,
  namedtupleRow,
  scalarRow,
  schemaRow,
  tupleRow,
  type DictRow,
  type NamedTupleRow,
  type RowFactory,
  type RowSource,
  type StandardSchema,
  type TupleRow,
} from './rows.js';
export { TransactionStatus } from './session/status.js';
