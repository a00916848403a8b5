/**
 * What other clients of PostgreSQL call an option, and what it is here. The names that differ in their spelling only (`min_size`,
 * `applicationName`) need no entry, nor do those that are the same.
 */
export type ForeignName =
  | {
      /** The names here, of options or connection parameters: the first that the call takes is meant, else the last. */
      readonly to: readonly string[];
      /** The seconds in a unit of its value. */
      readonly seconds?: number;
    }
  | {
      /** What to write instead. */
      readonly say: string | ((value: unknown) => string);
    };

function to(...names: string[]): ForeignName {
  return { to: names };
}

function milliseconds(...names: string[]): ForeignName {
  return { to: names, seconds: 0.001 };
}

function say(advice: string | ((value: unknown) => string)): ForeignName {
  return { say: advice };
}

const CONNINFO = 'pass it as the first argument, the connection string';
const PER_CALL = 'give `{ signal: AbortSignal.timeout(milliseconds) }` to the calls that it is for';
const REPLACED = 'nothing replaces it, and nothing is lost without it';
const POOLED_UNPREPARED =
  'behind PgBouncer write `prepareThreshold: null`, an option of `AsyncConnection.connect()` and of `connectOptions` of a pool';
const ADAPTERS =
  'register readers and writers of types with `adapters.registerLoader()` and `adapters.registerDumper()`';
const TRACING =
  "log statements with `logQueries(console)` of 'usingpg/logger', or subscribe to the channel `usingpg:query`";
const NO_BOUND = 'a pipeline bounds by itself what is in flight';

function setting(name: string): ForeignName {
  return say(
    (value) =>
      `write it as the connection parameter \`options\`: \`-c ${name}=${isNumeric(value) ? String(value) : '…'}\``,
  );
}

function searchPath(): ForeignName {
  return say('write the connection parameter `options`: `-c search_path=…`');
}

/** `ssl`, whose values mean more than one thing: no server is trusted on the word of a setting that asked for its certificate. */
function sslmode(value: unknown): string {
  if (value === false || value === 'false' || value === '0' || value === 'disable')
    return 'write the connection parameter `sslmode=disable`';
  if (value === 'require' || value === 'allow' || value === 'prefer')
    return `write the connection parameter \`sslmode=${value}\``;
  const isUnverified =
    value === 'no-verify' ||
    (typeof value === 'object' && value !== null && Reflect.get(value, 'rejectUnauthorized') === false);
  if (isUnverified)
    return 'write the connection parameter `sslmode=require`, which encrypts and verifies nobody';
  const files = typeof value === 'object' && value !== null ? ', `sslcert` and `sslkey`' : '';
  return (
    `write the connection parameters \`sslmode=verify-full\` and \`sslrootcert\`${files}: certificates as a file or PEM text, or \`system\`;` +
    ' `sslmode=require` encrypts and verifies nobody'
  );
}

let names: Readonly<Record<string, ForeignName>> | undefined;

/** The table of foreign names, made for the first unknown option: compiling it would slow down every import of the package. */
export function foreignNames(): Readonly<Record<string, ForeignName>> {
  return (names ??= {
    // node-postgres
    max: to('maxSize'),
    min: to('minSize'),
    idleTimeoutMillis: milliseconds('maxIdle'),
    connectionTimeoutMillis: milliseconds('timeout', 'connect_timeout'),
    maxLifetimeSeconds: to('maxLifetime'),
    connectionString: say(CONNINFO),
    database: to('dbname'),
    ssl: say(sslmode),
    statement_timeout: setting('statement_timeout'),
    lock_timeout: setting('lock_timeout'),
    idle_in_transaction_session_timeout: setting('idle_in_transaction_session_timeout'),
    query_timeout: say(PER_CALL),
    keepAlive: to('keepalives'),
    keepAliveInitialDelayMillis: milliseconds('keepalives_idle'),
    enableChannelBinding: say(
      'write the connection parameter `channel_binding`: `prefer`, which is the default, or `require`',
    ),
    types: say(ADAPTERS),
    rowMode: say('write `rowFactory: tupleRow`, which is the default, or `rowFactory: dictRow` for objects'),
    text: say('the query is the first argument'),
    values: say('the parameters are the second argument, an array or an object'),
    onConnect: to('configure'),
    verify: to('check'),
    log: say(TRACING),
    highWaterMark: to('size'),
    batchSize: to('size', 'itersize'),

    // postgres.js
    idle_timeout: to('maxIdle'),
    username: to('user'),
    pass: to('password'),
    db: to('dbname'),
    hostname: to('host'),
    prepare: say((value) =>
      value === false
        ? `write \`prepareThreshold: null\`: ${POOLED_UNPREPARED}`
        : 'write `prepareThreshold: 0` to prepare each statement at once; without it one is prepared after 5 executions',
    ),
    onnotice: say('add the handler with `conn.addNoticeHandler(fn)`, in a pool within `configure`'),
    onnotify: say('add the handler with `conn.addNotifyHandler(fn)`, or use a `Listener`'),
    onparameter: say('read the setting with `conn.info.parameterStatus(name)`'),
    onclose: say('`conn.onLost(fn)` tells of the loss of a connection, in a pool within `configure`'),
    transform: say('write `rowFactory`: a function that makes the rows, such as `dictRow`'),
    debug: say(TRACING),
    fetch_types: say('read a type with `TypeInfo.fetch(conn, name)` and register it'),
    max_pipeline: say(NO_BOUND),
    backoff: say('write `reconnectTimeout`: the seconds for which a pool tries again, at growing intervals'),
    keep_alive: to('keepalives_idle'),
    connection: say('settings of the session are connection parameters: `application_name`, `options`'),
    publications: say('replication is not supported'),
    path: to('host'),

    // Psycopg and psycopg_pool
    conninfo: say(CONNINFO),
    kwargs: say('write `connectOptions`; connection parameters belong to the first argument'),
    params: say('the parameters are the second argument'),
    params_seq: say('the sets of parameters are the second argument, an iterable'),
    writer: say('data goes through the `AsyncCopy` that copy() resolves with'),

    // asyncpg and SQLAlchemy
    dsn: say(CONNINFO),
    command_timeout: say(PER_CALL),
    max_inactive_connection_lifetime: to('maxIdle'),
    server_settings: say('settings of the session are connection parameters: `application_name`, `options`'),
    statement_cache_size: say((value) =>
      value === 0 || value === '0'
        ? POOLED_UNPREPARED
        : 'set `conn.preparedMax`: how many prepared statements a connection keeps',
    ),
    init: to('configure'),
    setup: to('check'),
    pool_size: to('maxSize'),
    max_overflow: say('write `minSize` and `maxSize`: a pool grows from one to the other'),
    pool_timeout: to('timeout'),
    pool_recycle: to('maxLifetime'),
    pool_pre_ping: say('write `check: AsyncConnectionPool.checkConnection`'),

    // knex, TypeORM, Sequelize and other pools
    acquire: milliseconds('timeout'),
    acquireTimeoutMillis: milliseconds('timeout'),
    createTimeoutMillis: milliseconds('connect_timeout'),
    idle: milliseconds('maxIdle'),
    afterCreate: to('configure'),
    maximumPoolSize: to('maxSize'),
    minimumIdle: to('minSize'),
    poolSize: to('maxSize'),
    poolName: to('name'),
    connectionTimeout: milliseconds('timeout', 'connect_timeout'),
    idleTimeout: milliseconds('maxIdle'),
    leakDetectionThreshold: milliseconds('leakThreshold'),
    queueLimit: to('maxWaiting'),
    connectionLimit: to('maxSize'),
    concurrent: to('concurrency'),
    retry: to('retries'),
    maxRetries: to('retries'),
    isolation: to('isolationLevel'),

    // Prisma
    pgbouncer: say(POOLED_UNPREPARED),
    connection_limit: to('maxSize'),
    schema: searchPath(),
    socket_timeout: say(PER_CALL),
    sslaccept: say((value) =>
      value === 'strict'
        ? 'write `sslmode=verify-full` and `sslrootcert`'
        : 'write `sslmode=require`, which encrypts and verifies nobody',
    ),
    sslidentity: say('write `sslcert` and `sslkey`, the files of a certificate and its key in PEM'),

    // JDBC and other drivers
    search_path: searchPath(),
    currentSchema: searchPath(),
    timezone: setting('timezone'),
    loginTimeout: to('connect_timeout'),
    socketTimeout: say(PER_CALL),
    tcpKeepAlive: to('keepalives'),
    targetServerType: to('target_session_attrs'),
    encoding: to('client_encoding'),
    charset: to('client_encoding'),
    preferQueryMode: say(`without prepared statements: ${POOLED_UNPREPARED}`),
    binaryTransfer: say(REPLACED),
    sslfactory: say(sslmode),
    tls: say(sslmode),
    default_query_exec_mode: say(POOLED_UNPREPARED),
    pool_max_conns: to('maxSize'),
    pool_min_conns: to('minSize'),
    url: say(CONNINFO),
    uri: say(CONNINFO),
  });
}

/** Values of connection parameters that other clients know, and what they are here. */
export const FOREIGN_VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sslmode: {
    'no-verify': 'sslmode=require, which encrypts and verifies nobody',
    true: 'sslmode=verify-full with sslrootcert, or sslmode=require, which verifies nobody',
    false: 'sslmode=disable',
    required: 'sslmode=require',
    'verify-identity': 'sslmode=verify-full',
  },
  target_session_attrs: { master: 'primary', slave: 'standby', secondary: 'standby', any_node: 'any' },
};

/** Whether a value is a number, which is no secret and may be shown. */
export function isNumeric(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && /^\d{1,9}(?:\.\d{1,9})?$/.test(value));
}
