import { readFileSync } from 'node:fs';

/** Psycopg's outcome of one step. Without `ok` and `error`, the outcome was not recorded. */
export interface Expected {
  readonly ok?: unknown;
  readonly error?: string;
  readonly is_a?: readonly string[];
  readonly sqlstate?: string | null;
  readonly diag?: Readonly<Record<string, string>>;
}

/** The state after a step, of its connection and its cursor. Only recorded properties are compared. */
export interface State {
  readonly status?: string;
  readonly conn_closed?: boolean;
  readonly rowcount?: number;
  readonly rownumber?: number | null;
  readonly statusmessage?: string | null;
  readonly closed?: boolean;
  readonly description?: readonly (readonly [string, number, ...(number | null)[]])[] | null;
}

/** A call, or with `block` the steps within a block. */
export interface Step {
  readonly on?: string;
  readonly call?: string;
  readonly args?: readonly unknown[];
  readonly kw?: Readonly<Record<string, unknown>>;
  readonly save?: string;
  readonly rows?: readonly (readonly unknown[])[];
  readonly blocks?: readonly unknown[];
  readonly types?: readonly (string | number)[];
  readonly wait?: boolean;
  readonly rethrow?: string;
  readonly block?: 'transaction' | 'pipeline' | 'connection';
  readonly as?: string;
  readonly steps?: readonly Step[];
  readonly raise?: string;
  readonly to?: string;
  readonly expect: Expected;
  readonly state?: State;
}

/** One recorded program. */
export interface Scenario {
  readonly id: string;
  readonly area: string;
  readonly name?: string;
  readonly autocommit?: boolean;
  readonly bare?: boolean;
  readonly setup?: readonly string[];
  readonly teardown?: readonly string[];
  readonly steps: readonly Step[];
}

/** The recorded scenarios of an area. */
export function scenariosOf(area: string): readonly Scenario[] {
  const text = readFileSync(new URL(`${area}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { scenarios: readonly Scenario[] }).scenarios;
}

/** A name in the library's spelling: `set_read_only` is `setReadOnly`. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Looks up a name of the library or a method of an object, which may be missing. */
export function member(object: unknown, name: string): unknown {
  const found: unknown = Reflect.get(Object(object) as object, name);
  if (found === undefined) throw new Missing(name);
  return found;
}

export function call(object: unknown, name: string, ...args: readonly unknown[]): unknown {
  return Reflect.apply(member(object, name) as (...args: unknown[]) => unknown, object, args);
}

/** Makes an instance of a class of the library. */
export function make(library: unknown, name: string, ...args: readonly unknown[]): unknown {
  return Reflect.construct(member(library, name) as new (...args: unknown[]) => unknown, args);
}

/** The library lacks a feature of a scenario; a distinct class, so that it never passes for an expected error. */
export class Missing extends Error {
  constructor(name: string) {
    super(`the library has no '${name}'`);
  }
}
