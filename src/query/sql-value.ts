import type { COMPOSABLE } from './brand.js';

/** Any composed query, identified by its mark. */
type Composable = { readonly [COMPOSABLE]: unknown };

/** A type without values, whose property name explains in the compiler's message why a value cannot be sent. */
type Refused<Why extends string> = { readonly 'this value can not be sent': Why };

type IsAny<T> = 0 extends 1 & T ? true : false;

/**
 * `T` if its values can be sent, else a type without values whose text says why not. A restriction that only the value shows is
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

/** Classes and interfaces, which have no index signature, may have a dumper; an object literal such as `{ a: 1 }` has none. */
type SqlObject<T> = [Extract<T, readonly unknown[]>] extends [never]
  ? [Extract<T, Composable>] extends [never]
    ? [Extract<T, Readonly<Record<string, unknown>>>] extends [never]
      ? T
      : Refused<'a plain object: wrap it as new Jsonb(value)'>
    : T
  : [Extract<Extract<T, readonly unknown[]>[number], Composable>] extends [never]
    ? T
    : Refused<"an array of composables: join them with sql.SQL(', ').join(array)">;
