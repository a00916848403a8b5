// Checked by the compiler, never run: `npm run typecheck` fails for an unexpected type.
import { expectTypeOf } from 'expect-type';
import type { AsyncConnectionPool, AsyncCursor, AsyncServerCursor } from '../../src/index.js';
import {
  argsRow,
  AsyncConnection,
  camelRow,
  classRow,
  dictRow,
  kwargsRow,
  scalarRow,
  schemaRow,
  tupleRow,
  type DictRow,
  type RowFactory,
  type StandardSchema,
  type TupleRow,
} from '../../src/index.js';

interface User {
  id: number;
  name: string;
}
class Person {
  constructor(readonly row: User) {}
}
class Pair {
  constructor(
    readonly a: number,
    readonly b: number,
  ) {}
}
declare const connection: AsyncConnection;
declare const schema: StandardSchema<User>;

expectTypeOf(tupleRow).toExtend<RowFactory<TupleRow>>();
expectTypeOf(dictRow).toExtend<RowFactory<DictRow>>();
expectTypeOf(camelRow).toExtend<RowFactory<DictRow>>();
expectTypeOf(camelRow<User>).toEqualTypeOf<RowFactory<User>>();
expectTypeOf(dictRow<User>).toEqualTypeOf<RowFactory<User>>();
expectTypeOf(scalarRow<number>).toEqualTypeOf<RowFactory<number>>();
expectTypeOf(classRow(Person)).toEqualTypeOf<RowFactory<Person>>();
expectTypeOf(argsRow((id: number, name: string) => `${String(id)} ${name}`)).toEqualTypeOf<
  RowFactory<string>
>();
expectTypeOf(kwargsRow(({ id }: User) => id)).toEqualTypeOf<RowFactory<number>>();
expectTypeOf(schemaRow(schema)).toEqualTypeOf<RowFactory<User>>();

// @ts-expect-error -- a row is one argument, and this class needs two
classRow(Pair);

export async function cursorsAreTypedByTheirFactory(): Promise<void> {
  const plain = connection.cursor();
  expectTypeOf(plain).toEqualTypeOf<AsyncCursor>();
  expectTypeOf(await plain.fetchall()).toEqualTypeOf<TupleRow[]>();

  const users = connection.cursor({ rowFactory: dictRow<User> });
  expectTypeOf(users).toEqualTypeOf<AsyncCursor<User>>();
  expectTypeOf(await users.fetchone()).toEqualTypeOf<User | null>();
  expectTypeOf(await users.fetchmany(2)).toEqualTypeOf<User[]>();
  expectTypeOf(await users.fetchall()).toEqualTypeOf<User[]>();
  expectTypeOf(await users.execute('SELECT %s', [1])).toEqualTypeOf<AsyncCursor<User>>();
  for await (const user of users) expectTypeOf(user).toEqualTypeOf<User>();

  const executed = await connection.execute('SELECT 1', null, { rowFactory: scalarRow<number> });
  expectTypeOf(await executed.fetchone()).toEqualTypeOf<number | null>();
  expectTypeOf(await (await connection.execute('SELECT 1')).fetchone()).toEqualTypeOf<TupleRow | null>();
}

export async function connectionsHandTheirFactoryOn(): Promise<void> {
  const typed = await AsyncConnection.connect('', { rowFactory: dictRow<User> });
  expectTypeOf(typed).toEqualTypeOf<AsyncConnection<User>>();
  expectTypeOf(await typed.cursor().fetchone()).toEqualTypeOf<User | null>();
  expectTypeOf(await (await typed.execute('SELECT 1')).fetchone()).toEqualTypeOf<User | null>();
  expectTypeOf(await typed.cursor({ rowFactory: tupleRow }).fetchone()).toEqualTypeOf<TupleRow | null>();
}

declare const pool: AsyncConnectionPool;
declare const users: AsyncConnection<User>;
declare const usersPool: AsyncConnectionPool<User>;
declare const perhaps: RowFactory<User> | undefined;

export async function rowsAreOfATypeOnlyByAFactoryThatMakesThem(): Promise<void> {
  // @ts-expect-error -- tuples come
  connection.cursor<User>();
  // @ts-expect-error -- tuples come
  connection.cursor<User>({});
  // @ts-expect-error -- tuples come
  connection.cursor<User>({ name: 'users' });
  // @ts-expect-error -- tuples come
  await connection.execute<User>('SELECT 1');
  // @ts-expect-error -- tuples come
  await connection.execute<User>('SELECT 1', [], { prepare: true });
  // @ts-expect-error -- tuples come
  await pool.execute<User>('SELECT 1');
  // @ts-expect-error -- tuples come
  await pool.execute<User>('SELECT 1', null, { timeout: 1 });
  // @ts-expect-error -- the factory makes others
  await pool.execute<User>('SELECT 1', null, { rowFactory: scalarRow<number> });
  // @ts-expect-error -- a tuple is no number
  await connection.execute<number>('SELECT 1');
  // @ts-expect-error -- the connection's rows are users
  await users.execute<Person>('SELECT 1');

  // The program determines a tuple's element types.
  expectTypeOf(await (await connection.execute<[number, string]>('SELECT 1')).fetchone()).toEqualTypeOf<
    [number, string] | null
  >();
  expectTypeOf(connection.cursor<[number]>()).toEqualTypeOf<AsyncCursor<[number]>>();
  expectTypeOf((await pool.execute<[number]>('SELECT 1')).rows).toEqualTypeOf<[number][]>();
  expectTypeOf(await users.cursor<User>().fetchone()).toEqualTypeOf<User | null>();
  expectTypeOf((await usersPool.execute<User>('SELECT 1')).rows).toEqualTypeOf<User[]>();

  expectTypeOf(
    await (await connection.execute<User>('SELECT 1', null, { rowFactory: dictRow })).fetchone(),
  ).toEqualTypeOf<User | null>();
  expectTypeOf(connection.cursor<User>({ rowFactory: dictRow })).toEqualTypeOf<AsyncCursor<User>>();
  expectTypeOf(connection.cursor<User>({ name: 'users', rowFactory: dictRow })).toEqualTypeOf<
    AsyncServerCursor<User>
  >();
  expectTypeOf(
    (await pool.execute<User>('SELECT 1', null, { rowFactory: dictRow, timeout: 1 })).rows,
  ).toEqualTypeOf<User[]>();

  // Whether there is a row factory may only be known at run time.
  expectTypeOf(await connection.cursor({ rowFactory: perhaps }).fetchone()).toEqualTypeOf<
    User | TupleRow | null
  >();
  expectTypeOf((await pool.execute('SELECT 1', null, { rowFactory: perhaps })).rows).toEqualTypeOf<
    (User | TupleRow)[]
  >();
}
