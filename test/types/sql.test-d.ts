// Checked by the compiler, never run: `npm run typecheck` fails for an unexpected type.
import { expectTypeOf } from 'expect-type';
import {
  AsyncClientCursor,
  AsyncConnection,
  AsyncRawCursor,
  AsyncServerCursor,
  Jsonb,
  Numeric,
  scalarRow,
  sql,
  type AsyncConnectionPool,
  type Query,
  type TupleRow,
} from '../../src/index.js';

interface City {
  name: string;
}
class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}
declare const connection: AsyncConnection;
declare const citiesOnly: AsyncConnection<City>;
declare const pool: AsyncConnectionPool;
declare const text: string;
declare const maybe: string | undefined;
declare const nullable: string | null;
declare const anything: unknown;
declare const perhapsLater: number | Promise<number>;
declare const city: City;
declare const columns: sql.Identifier[];

expectTypeOf(sql`SELECT 1`).toEqualTypeOf<sql.Template>();
expectTypeOf(sql`SELECT 1`).toExtend<sql.Composable>();
expectTypeOf<Query>().toEqualTypeOf<string | sql.Composable>();
expectTypeOf(sql.SQL('{}').format(1)).toEqualTypeOf<sql.Composed>();
expectTypeOf(sql.SQL(text).join([1, sql.Identifier('a')])).toEqualTypeOf<sql.Composed>();
expectTypeOf(sql.identifier('a', 'b').concat(sql`c`)).toEqualTypeOf<sql.Composed>();
expectTypeOf(sql.Composed([sql`a`, 1]).asString(connection)).toEqualTypeOf<string>();
expectTypeOf(sql.quote(nullable, citiesOnly.cursor())).toEqualTypeOf<string>();
expectTypeOf(sql.Placeholder('name', 'b')).toEqualTypeOf<sql.Placeholder>();

// Any value that can be sent is accepted; an instance of a class or an interface may have a dumper.
expectTypeOf(
  sql`${1} ${2n} ${text} ${nullable} ${true} ${null} ${new Date()} ${Buffer.of(1)} ${[1, [2, null]]} ${anything}`,
).toEqualTypeOf<sql.Template>();
expectTypeOf(
  sql`${new Jsonb({ a: 1 })} ${new Numeric('1')} ${new Point(1, 2)} ${city} ${[new Point(1, 2)]}`,
).toEqualTypeOf<sql.Template>();
expectTypeOf(
  sql`${sql.SQL(', ').join(columns)} ${sql`${1}`} ${sql.Literal('a')} ${maybe ?? null}`,
).toEqualTypeOf<sql.Template>();
void sql.SQL('{} {a}').format(1, { a: sql.Identifier('b'), c: [1] });

// @ts-expect-error -- undefined is no value
expectTypeOf(sql`${undefined}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- nor what may be undefined
expectTypeOf(sql`${maybe}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- a function is not called by being named
expectTypeOf(sql`${() => 1}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- what is promised is not there yet
expectTypeOf(sql`${Promise.resolve(1)}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- nor is what may be promised
void sql.SQL('{}').format(perhapsLater);
// @ts-expect-error -- a symbol has no text
expectTypeOf(sql`${Symbol('a')}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- a plain object is to be wrapped
expectTypeOf(sql`${{ a: 1 }}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- composables in an array are to be joined
expectTypeOf(sql`${columns}`).toEqualTypeOf<sql.Template>();
// @ts-expect-error -- sql is a tag, not a function
void sql('SELECT 1');
// @ts-expect-error -- a name has at least one part
void sql.Identifier();
// @ts-expect-error -- names are strings
void sql.Identifier(1);
// @ts-expect-error -- a plain object is to be wrapped
void sql.Literal({ a: 1 });
// @ts-expect-error -- undefined is no value
void sql.quote(maybe);
// @ts-expect-error -- the characters of a string are not what is meant to be joined
void sql.SQL(', ').join('abc');
// @ts-expect-error -- undefined is no value
void sql.SQL(', ').join([1, undefined]);
// @ts-expect-error -- undefined is no value
void sql.SQL('{}').format(undefined);
// @ts-expect-error -- not within the named ones either
void sql.SQL('{a}').format({ a: undefined });
// @ts-expect-error -- an unknown format
void sql.Placeholder('a', 'x');
// @ts-expect-error -- a text is no composable
sql`a`.concat('b');
// @ts-expect-error -- a number is no context
sql`a`.asString(1);

export async function composedQueriesAreQueries(): Promise<void> {
  await connection.execute(sql`SELECT ${1}`);
  await connection.cursor().executemany(sql.SQL('SELECT %s'), [[1]]);
  expectTypeOf((await pool.execute(sql`SELECT ${1}`)).rows).toEqualTypeOf<TupleRow[]>();
  // @ts-expect-error -- an array of strings is no query
  await connection.execute(['SELECT 1']);
}

export async function cursorsOfEveryKindAreMadeOfAConnection(): Promise<void> {
  expectTypeOf(new AsyncClientCursor(connection)).toEqualTypeOf<AsyncClientCursor>();
  expectTypeOf(new AsyncClientCursor<City>(citiesOnly)).toEqualTypeOf<AsyncClientCursor<City>>();
  expectTypeOf(new AsyncClientCursor(citiesOnly)).toEqualTypeOf<AsyncClientCursor<City>>();
  expectTypeOf(new AsyncRawCursor(citiesOnly)).toEqualTypeOf<AsyncRawCursor<City>>();
  expectTypeOf(new AsyncServerCursor(citiesOnly, 'a', { scrollable: true })).toEqualTypeOf<
    AsyncServerCursor<City>
  >();
  expectTypeOf(new AsyncClientCursor(citiesOnly, { rowFactory: scalarRow<number> })).toEqualTypeOf<
    AsyncClientCursor<number>
  >();
  expectTypeOf(new AsyncServerCursor(citiesOnly, 'a', { rowFactory: scalarRow<number> })).toEqualTypeOf<
    AsyncServerCursor<number>
  >();
  expectTypeOf(new AsyncRawCursor(connection).query).toEqualTypeOf<string | null>();
  expectTypeOf(new AsyncClientCursor(connection).mogrify(sql`a`)).toEqualTypeOf<string>();
  await AsyncConnection.connect('', { cursorFactory: AsyncClientCursor });
  connection.cursorFactory = AsyncRawCursor;
}

// Rows are objects or arrays of values that can be sent.
declare const cities: City[];
declare const points: Point[];
declare const optional: { name: string; founded?: string }[];
expectTypeOf(sql.values(cities)).toEqualTypeOf<sql.Composable>();
expectTypeOf(sql.values(points, ['y', 'x'])).toEqualTypeOf<sql.Composable>();
expectTypeOf(
  sql.values([{ id: 1, name: null, at: sql.DEFAULT, tags: ['a'] }]),
).toEqualTypeOf<sql.Composable>();
expectTypeOf(
  sql.values([
    [1, 'a', null],
    [2, sql`now()`, new Date()],
  ]),
).toEqualTypeOf<sql.Composable>();
expectTypeOf(sql.values(new Set([[1, 'a']]), ['id', 'name'])).toEqualTypeOf<sql.Composable>();
expectTypeOf(sql.values(optional, ['name'])).toEqualTypeOf<sql.Composable>();
expectTypeOf(sql.set({ name: 'a', n: sql`n + 1`, nothing: null })).toEqualTypeOf<sql.Composable>();
expectTypeOf(sql.set(city)).toEqualTypeOf<sql.Composable>();
// @ts-expect-error -- a property that is none of the rows'
sql.values(points, ['z']);
// @ts-expect-error -- one row is [row]
sql.values(city);
// @ts-expect-error -- undefined is no value
sql.values(optional);
// @ts-expect-error -- undefined is no value
sql.values([[1, undefined]]);
// @ts-expect-error -- a function is no value
sql.values([{ now: () => 1 }]);
// @ts-expect-error -- a plain object needs a wrapper
sql.set({ data: { a: 1 } });
// @ts-expect-error -- undefined is no value
sql.set({ name: maybe });
// @ts-expect-error -- a column has a name
sql.set('name');
