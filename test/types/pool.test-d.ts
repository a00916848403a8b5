// Checked by the compiler, never run: `npm run typecheck` fails for an unexpected type.
import { expectTypeOf } from 'expect-type';
import * as v from 'valibot';
import { z } from 'zod';
import {
  adapters,
  AsyncConnection,
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  classRow,
  dictRow,
  namedtupleRow,
  Rollback,
  scalarRow,
  schemaRow,
  tupleRow,
  type AsyncServerCursor,
  type AsyncTransaction,
  type Column,
  type DictRow,
  type NamedTupleRow,
  type Params,
  type RowFactory,
  type RowGenerator,
  type TupleRow,
} from '../../src/index.js';

interface User {
  id: number;
  name: string;
}
class Person {
  constructor(readonly row: User) {}
}
declare const plain: AsyncConnectionPool;
declare const ids: number[];

expectTypeOf(plain).toEqualTypeOf<AsyncConnectionPool>();
expectTypeOf(new AsyncConnectionPool('', { connectOptions: { rowFactory: dictRow<User> } })).toEqualTypeOf<
  AsyncConnectionPool<User>
>();
expectTypeOf(
  new AsyncNullConnectionPool('', { connectOptions: { rowFactory: dictRow<User> } }),
).toEqualTypeOf<AsyncNullConnectionPool<User>>();
expectTypeOf(schemaRow(z.object({ id: z.number(), name: z.string() }))).toEqualTypeOf<RowFactory<User>>();
expectTypeOf(schemaRow(v.object({ id: v.number(), name: v.string() }))).toEqualTypeOf<RowFactory<User>>();
expectTypeOf(schemaRow(z.object({ id: z.number() }).transform(({ id }) => BigInt(id)))).toEqualTypeOf<
  RowFactory<bigint>
>();
// @ts-expect-error -- what a schema makes is what the rows are
expectTypeOf(schemaRow(z.object({ id: z.string() }))).toEqualTypeOf<RowFactory<User>>();
// @ts-expect-error -- a schema is no row factory by itself
void plain.execute('SELECT 1', null, { rowFactory: z.object({}) });
void plain.execute('SELECT 1', null, { context: adapters, rowFactory: dictRow<User> }).then((result) => {
  expectTypeOf(result.rows).toEqualTypeOf<User[]>();
  expectTypeOf(result.description).toEqualTypeOf<readonly Column[] | null>();
});
// @ts-expect-error -- a context has adapters
void plain.execute('SELECT 1', null, { context: {} });
// @ts-expect-error -- an option that does not exist
expectTypeOf(new AsyncConnectionPool('', { maxsize: 1 })).toExtend<AsyncConnectionPool>();
// @ts-expect-error -- a duration is a number of seconds
expectTypeOf(new AsyncConnectionPool('', { timeout: '30s' })).toExtend<AsyncConnectionPool>();

export async function rowsAreTypedThroughThePool(): Promise<void> {
  await using typed = new AsyncConnectionPool('', { connectOptions: { rowFactory: dictRow<User> } });
  await using connection = await typed.connection();
  expectTypeOf(connection).toEqualTypeOf<AsyncConnection<User>>();
  expectTypeOf(await typed.getconn()).toEqualTypeOf<AsyncConnection<User>>();
  expectTypeOf(await connection.cursor().fetchall()).toEqualTypeOf<User[]>();
  expectTypeOf((await typed.execute('SELECT 1')).rows).toEqualTypeOf<User[]>();
  expectTypeOf((await plain.execute('SELECT 1')).rows).toEqualTypeOf<TupleRow[]>();
  expectTypeOf((await plain.execute('SELECT %s', [1], { rowFactory: scalarRow<bigint> })).rows).toEqualTypeOf<
    bigint[]
  >();
  expectTypeOf((await typed.execute('SELECT 1', null, { rowFactory: classRow(Person) })).rows).toEqualTypeOf<
    Person[]
  >();

  const found = await typed.withConnection(async (conn) => {
    expectTypeOf(conn).toEqualTypeOf<AsyncConnection<User>>();
    return (await conn.execute('SELECT 1')).fetchone();
  });
  expectTypeOf(found).toEqualTypeOf<User | null>();
  expectTypeOf(
    await plain.map(ids, async (conn, id, index) => {
      expectTypeOf([id, index]).toEqualTypeOf<number[]>();
      return (await conn.execute('SELECT %s', [id], { rowFactory: scalarRow<string> })).fetchone();
    }),
  ).toEqualTypeOf<(string | null)[]>();
  expectTypeOf(await typed.withTransaction(() => 1)).toEqualTypeOf<number>();
}

export async function aTransactionIsTypedByWhatItsCallbackReturns(
  connection: AsyncConnection,
  transaction: AsyncTransaction,
): Promise<void> {
  expectTypeOf(await connection.withTransaction(async () => Promise.resolve(1))).toEqualTypeOf<number>();
  expectTypeOf(await transaction.withTransaction(() => 'at once')).toEqualTypeOf<string>();
  expectTypeOf(plain.withTransaction((conn) => conn.commit())).toEqualTypeOf<Promise<void>>();
  // These always roll back.
  const never = (): Promise<never> => Promise.reject(new Rollback());
  expectTypeOf(connection.withTransaction(never)).toEqualTypeOf<Promise<undefined>>();
  expectTypeOf(transaction.withTransaction(never)).toEqualTypeOf<Promise<undefined>>();
  expectTypeOf(plain.withTransaction(never)).toEqualTypeOf<Promise<undefined>>();
  // This may roll back, and its type says so.
  const unlessNegative = (n: number) => async (): Promise<number | undefined> => {
    if (n < 0) throw new Rollback();
    return Promise.resolve(n);
  };
  expectTypeOf(await connection.withTransaction(unlessNegative(1))).toEqualTypeOf<number | undefined>();
  const inTransaction = <T>(fn: () => Promise<T>): Promise<T> => connection.withTransaction(fn);
  expectTypeOf(await inTransaction(async () => Promise.resolve(1))).toEqualTypeOf<number>();
  expectTypeOf(
    await AsyncConnection.withConnection('', async (own) => {
      expectTypeOf(own).toEqualTypeOf<AsyncConnection>();
      return (await own.execute('SELECT 1')).fetchone();
    }),
  ).toEqualTypeOf<TupleRow | null>();
  await AsyncConnection.withConnection(
    { host: 'here' },
    async (own) => {
      expectTypeOf(await own.cursor().fetchall()).toEqualTypeOf<User[]>();
    },
    { rowFactory: dictRow<User> },
  );
}

export async function rowsAreTypedThroughEveryKindOfReading(connection: AsyncConnection): Promise<void> {
  for await (const row of connection.cursor().stream('SELECT 1')) expectTypeOf(row).toEqualTypeOf<TupleRow>();
  const users = connection.cursor({ rowFactory: dictRow<User> });
  for await (const user of users.stream('SELECT 1')) expectTypeOf(user).toEqualTypeOf<User>();
  expectTypeOf(users.stream('SELECT 1')).toEqualTypeOf<RowGenerator<User>>();
  expectTypeOf(users.stream('SELECT 1')).toExtend<AsyncGenerator<User, void, void>>();
  expectTypeOf(users.stream('SELECT 1').open()).toEqualTypeOf<Promise<void>>();
  for await (const result of users.results())
    expectTypeOf(await result.fetchone()).toEqualTypeOf<User | null>();
  const onServer = connection.cursor({ name: 'users', rowFactory: dictRow<User> });
  expectTypeOf(onServer).toEqualTypeOf<AsyncServerCursor<User>>();
  for await (const user of onServer) expectTypeOf(user).toEqualTypeOf<User>();
  expectTypeOf(
    await connection.cursor({ rowFactory: namedtupleRow }).fetchone(),
  ).toEqualTypeOf<NamedTupleRow | null>();
  expectTypeOf(await connection.cursor({ rowFactory: dictRow }).fetchone()).toEqualTypeOf<DictRow | null>();
  expectTypeOf(await connection.cursor({ rowFactory: tupleRow<[number, string]> }).fetchall()).toEqualTypeOf<
    [number, string][]
  >();
  // @ts-expect-error -- a column that the row does not have
  expectTypeOf((await users.fetchone())?.email).toBeUndefined();
  // @ts-expect-error -- there may be no row
  expectTypeOf((await users.fetchone()).name).toEqualTypeOf<string>();
}

export async function parametersAreAnArrayOrNamed(connection: AsyncConnection): Promise<void> {
  expectTypeOf<Params>().toEqualTypeOf<readonly unknown[] | object>();
  await connection.execute('SELECT %s, %s', [1, 'a'] as const);
  await connection.execute('SELECT %(a)s', { a: 1 });
  const user: User = { id: 1, name: 'Ann' };
  const declared: Readonly<User>[] = [user];
  await connection.execute('SELECT %(id)s', user);
  await connection.cursor().executemany('SELECT %(id)s, %(name)s', declared);
  await connection.cursor().executemany('SELECT %(id)s', new Set([user]));
  await plain.execute('SELECT %(id)s', new Person(user));
  for await (const row of connection.cursor().stream('SELECT %(id)s', user))
    expectTypeOf(row).toEqualTypeOf<TupleRow>();
  // @ts-expect-error -- one parameter is an array of one
  await connection.execute('SELECT %s', 1);
  // @ts-expect-error -- the characters of a string are not the parameters
  await connection.execute('SELECT %s', 'a');
  // @ts-expect-error -- each execution has an array of its own
  await connection.cursor().executemany('SELECT %s', [1, 2]);
  // @ts-expect-error -- a query is not a number
  await connection.execute(1);
  // @ts-expect-error -- a server cursor has a name
  connection.cursor({ scrollable: true });
}
