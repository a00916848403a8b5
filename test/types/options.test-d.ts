// Checked by the compiler, never run: `npm run typecheck` fails for an unexpected type.
import { expectTypeOf } from 'expect-type';
import type * as usingpg from '../../src/index.js';

/** The names of the optional properties. */
type Optional<Options> = {
  [Name in keyof Options]-?: object extends Pick<Options, Name> ? Name : never;
}[keyof Options];
type Given<Options> = { [Name in keyof Options]: Options[Name] | undefined };
/**
 * Whether every optional property may also be undefined. A program that passes options on has `undefined` for those it was not
 * given, which `exactOptionalPropertyTypes` would distinguish.
 */
type Lenient<Options> =
  Given<Pick<Options, Optional<Options>>> extends Pick<Options, Optional<Options>> ? true : false;

expectTypeOf<Lenient<usingpg.CheckoutOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.CompositeOptions<unknown>>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ConnectOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ContextOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.CopyOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.CursorOptions<usingpg.TupleRow>>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.EnumOptions<unknown>>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ExecuteManyOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ExecuteOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.FetchOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.JsonOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ListenerOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.MapOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.NamedCursorOptions<usingpg.TupleRow>>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.NotifiesOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.PipelineOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.PoolOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.PoolTransactionOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ReadyOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.RetryOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ServerCursorOptions<usingpg.TupleRow>>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.StreamOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.TemporalOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.TransactionEndOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.TransactionOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.TypeInfoOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.WaitOptions>>().toEqualTypeOf<true>();
expectTypeOf<Lenient<usingpg.ConninfoParams>>().toEqualTypeOf<true>();
// The check detects a violation.
expectTypeOf<Lenient<{ signal?: AbortSignal }>>().toEqualTypeOf<false>();

// What other clients call a connection parameter is none here; a password may come from a function, nothing else may.
declare const pass: (params: usingpg.ConninfoParams) => void;
pass({ host: 'h', port: 5432, dbname: 'app', password: ({ host, user }) => `${user}@${host}` });
pass({ password: async () => Promise.resolve('token') });
// TLS material is a path, PEM text, or bytes; nothing else is bytes.
pass({ sslrootcert: 'system', sslcert: '-----BEGIN …', sslkey: Buffer.from(''), sslcrl: new Uint8Array() });
// @ts-expect-error A directory has no bytes.
pass({ sslcrldir: Buffer.from('') });
// @ts-expect-error libpq's name is `dbname`.
pass({ database: 'app' });
// @ts-expect-error An option of a pool.
pass({ max: 10 });
// @ts-expect-error Only the password may be a function.
pass({ host: () => 'h' });
// @ts-expect-error A password is a string.
pass({ password: () => 5 });
// What conninfoToDict() gives, and whatever else has texts by name, is taken as it is.
declare const dict: ReturnType<typeof usingpg.conninfoToDict>;
pass(dict);

// Adapters of one's own, for a cursor or for one execution, and what takes a connection at once or not at all.
declare const conn: usingpg.AsyncConnection;
declare const pool: usingpg.AsyncConnectionPool;
declare const adapters: usingpg.AdaptersMap;
expectTypeOf<ReturnType<typeof usingpg.pgTypes>>().toEqualTypeOf<usingpg.AdaptersMap>();
expectTypeOf<ReturnType<typeof usingpg.inferredParams>>().toEqualTypeOf<usingpg.AdaptersMap>();
expectTypeOf(conn.cursor({ context: adapters })).toEqualTypeOf<usingpg.AsyncCursor>();
expectTypeOf(conn.cursor({ name: 'c', context: conn })).toEqualTypeOf<usingpg.AsyncServerCursor>();
void conn.cursor().execute('SELECT 1', null, { context: conn.cursor() });
// @ts-expect-error A context has adapters.
void conn.execute('SELECT 1', null, { context: { loaders: [] } });
adapters.registerDefaultLoader((text, oid) => {
  expectTypeOf([text, oid] as const).toEqualTypeOf<readonly [string, number]>();
});
adapters.registerDumper('object', (value) => {
  expectTypeOf(value).toEqualTypeOf<object>();
  return null;
});
expectTypeOf(conn.onLost((error) => expectTypeOf(error).toEqualTypeOf<Error>())).toEqualTypeOf<() => void>();
expectTypeOf(conn.info.session).toEqualTypeOf<object>();
void pool.getconn({ failFast: true });
void pool.withConnection(() => undefined, { failFast: true, timeout: 5 });
// @ts-expect-error wait() takes no connection.
void pool.wait({ failFast: true });
