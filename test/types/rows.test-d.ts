// Checked by the compiler, never run: `npm run typecheck` fails where a type is not the one expected here.
import { expectTypeOf } from 'expect-type';
import type { AsyncCursor } from '../../src/index.js';
import {
  argsRow,
  AsyncConnection,
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
