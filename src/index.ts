import './supported-node.js';
export { adapters } from './types/adapters.js';
export type {
  AdaptContext,
  AdaptersMap,
  DumpedParam,
  Dumper,
  Loader,
  TypeEntry,
} from './types/adapters-map.js';
export type { Adapters } from './types/adaptation.js';
export type { ByteWriter } from './types/byte-writer.js';
export type { Codec, Place } from './types/codec.js';
export type { CustomDumper } from './types/custom-adapters.js';
export { setJsonDumps, setJsonLoads, type JsonLoads } from './types/json-functions.js';
export { inferredParams } from './types/inferred-params.js';
export { pgTypes } from './types/pg-types.js';
export type { PostgresInterval } from './types/postgres-interval.js';
export { Multirange } from './types/multirange.js';
export { OffsetTime } from './types/offset-time.js';
export { Range } from './types/range.js';
export { registerTemporal, type TemporalApi, type TemporalOptions } from './types/temporal.js';
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
  type JsonDumps,
  type JsonOptions,
} from './types/wrappers.js';
export { Column } from './column.js';
export { AsyncConnection } from './connection/connection.js';
export type { ConnectOptions, WaitOptions } from './connection/options.js';
export { ConnectionInfo, ConnStatus } from './connection/info.js';
export { IsolationLevel } from './connection/transaction-settings.js';
export { AsyncPipeline, type PipelineOptions } from './connection/pipeline.js';
export type { LossHandler, NoticeHandler } from './connection/handlers.js';
export { Notify, type NotifiesOptions, type NotifyHandler } from './connection/notifies.js';
export {
  AsyncTransaction,
  Rollback,
  type TransactionEndOptions,
  type TransactionOptions,
} from './connection/transaction.js';
export { Xid } from './connection/two-phase.js';
export {
  conninfoToDict,
  makeConninfo,
  type ConninfoParams,
  type PasswordFunction,
  type PasswordRequest,
} from './conninfo/index.js';
export { AsyncClientCursor } from './cursor/client-cursor.js';
export { AsyncCopy } from './copy/copy.js';
export { AsyncCursor } from './cursor/cursor.js';
export type { RowGenerator } from './cursor/streamed-rows.js';
export type {
  ContextOptions,
  CopyOptions,
  CursorFactory,
  CursorOptions,
  ExecuteManyOptions,
  ExecuteOptions,
  ServerCursorFactory,
  StreamOptions,
} from './cursor/options.js';
export { AsyncRawCursor, AsyncRawServerCursor } from './cursor/raw-cursors.js';
export {
  AsyncServerCursor,
  type FetchOptions,
  type NamedCursorOptions,
  type ServerCursorOptions,
} from './cursor/server-cursor.js';
export type {
  CheckoutMessage,
  ConnectionMessage,
  ConnectMessage,
  EvictMessage,
  EvictReason,
  GapMessage,
  LeakMessage,
  LostMessage,
  NoticeMessage,
  QueryKind,
  QueryMessage,
  ReconnectMessage,
  RetryMessage,
  ReturnMessage,
  TracedMessage,
  UncommittedMessage,
} from './diagnostics.js';
export { errors } from './errors/namespace.js';
export {
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  type ExecuteResult,
  type MapOptions,
  type PoolTransactionOptions,
  type ReadyOptions,
} from './pool/connection-pool.js';
export type { ConnectOptionsSource, ConninfoSource } from './pool/connection-source.js';
export type { CheckoutOptions } from './pool/checkouts.js';
export { Listener, type ListenerEvent, type ListenerOptions } from './listener.js';
export { openPools } from './pool/open-pools.js';
export type { PoolOptions } from './pool/options.js';
export type { RetryOptions } from './pool/retry.js';
export type { PoolStats } from './pool/statistics.js';
export type { Query } from './query/binding.js';
export type { Params } from './query/placeholders.js';
export { sql, type Sql } from './query/sql.js';
export {
  argsRow,
  camelRow,
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
export { PipelineStatus, TransactionStatus } from './session/status.js';
export { Composite, CompositeInfo, registerComposite, type CompositeOptions } from './catalogue/composite.js';
export { EnumInfo, registerEnum, type EnumOptions } from './catalogue/enum.js';
export { registerHstore } from './catalogue/hstore.js';
export { MultirangeInfo, RangeInfo, registerMultirange, registerRange } from './catalogue/range.js';
export { TypeInfo, type TypeInfoOptions, type TypeName } from './catalogue/type-info.js';
