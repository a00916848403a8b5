import type { COMPOSABLE } from './brand.js';

/** Any composed query, by what it is known by. */
type Composable = { readonly [COMPOSABLE]: unknown };

/** What a value is told to be where its type shows that it can't be sent. */
type Refused<Why extends string> = { readonly 'this value can not be sent': Why };

type IsAny<T> = 0 extends 1 & T ? true : false;

/**
 * `T` if a value of that type can be sent, else a type that nothing has, whose text says why. What only the value shows is
 * checked when the query is executed.
 */
export type SqlValue<T> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? T
      : undefined extends T
        ? Refused<'undefined: use null for NULL'>
        : [Extract<T, (...args: never) => unknown>] extends [never]
          ? [Extract<T, symbol>] extends [never]
            ? [Extract<T, PromiseLike<unknown>>] extends [never]
              ? SqlObject<T>
              : Refused<'a promise: await it'>
            : Refused<'a symbol: use its description'>
          : Refused<'a function: did you mean to call it?'>;

/** Types without an index signature of their own, as classes and interfaces are, may have a dumper; `{ a: 1 }` has none. */
type SqlObject<T> = [Extract<T, readonly unknown[]>] extends [never]
  ? [Extract<T, Composable>] extends [never]
    ? [Extract<T, Readonly<Record<string, unknown>>>] extends [never]
      ? T
      : Refused<'a plain object: wrap it as new Jsonb(value)'>
    : T
  : [Extract<Extract<T, readonly unknown[]>[number], Composable>] extends [never]
    ? T
    : Refused<"an array of composables: join them with sql.SQL(', ').join(array)">;
