import { errors } from '../errors/namespace.js';
import { describeKind, expected, isAbortSignal, type Kind, type KindsOf } from './kinds.js';

/** The options of one call, which refuses what is none of them at once. It has no state, so that subpath exports may bundle it. */
export class CallOptions<T extends object> {
  /** The call, as messages show it, with an argument named `options`; or an option that has options: `connectOptions: options`. */
  readonly call: string;
  readonly #kinds: ReadonlyMap<string, Kind>;

  constructor(call: string, kinds: KindsOf<T>) {
    this.call = call;
    this.#kinds = new Map(Object.entries<Kind>(kinds));
  }

  get names(): Iterable<string> {
    return this.#kinds.keys();
  }

  has(name: string): boolean {
    return this.#kinds.has(name);
  }

  /** Refuses options that are unknown, or have a value that they can't have. One that is undefined is as if it were not given. */
  check(options: object | undefined): void {
    if (options === undefined) return;
    if (typeof options !== 'object' || (options as unknown) === null) throw this.#noOptions(options);
    let isEmpty = true;
    for (const name in options) {
      isEmpty = false;
      const kind = this.#kinds.get(name);
      if (kind === undefined) {
        // A property that a program added to the prototype of all objects is not an option of this call.
        if (name in Object.prototype && !Object.hasOwn(options, name)) continue;
        throw this.#unknown(options);
      }
      const value = (options as Readonly<Record<string, unknown>>)[name];
      if (value !== undefined && !kind.is(value)) throw expected(`\`${name}\``, kind.what, value);
    }
    if (isEmpty && !isPlain(options)) throw this.#noOptions(options);
  }

  /** The same for a call that takes a function before its options. */
  checkCall(fn: unknown, options: object | undefined): void {
    if (typeof fn !== 'function') {
      throw new errors.ProgrammingError(
        typeof options === 'function'
          ? `the arguments of ${this.#name} are in the wrong order; write ${this.#signature}`
          : `${this.#name} needs a function, got ${describeGiven(fn)}; write ${this.#signature}`,
      );
    }
    this.check(options);
  }

  /** What to write in place of an unknown option; null if that is not known. */
  protected explain(_name: string, _value: unknown): string | null {
    return null;
  }

  /** The call without its arguments, or the option that has options itself. */
  get #name(): string {
    const end = this.call.search(/[(:]/);
    return `${this.call.slice(0, end)}${this.call[end] === '(' ? '()' : ''}`;
  }

  get #signature(): string {
    const names = [...this.#kinds.keys()];
    const shown =
      names.length > MOST_SHOWN ? `${names.slice(0, MOST_SHOWN).join(', ')}, …` : names.join(', ');
    return `\`${this.call.replace(/\boptions\b/, `{ ${shown} }`)}\``;
  }

  #noOptions(given: unknown): Error {
    const advice = isAbortSignal(given) && this.has('signal') ? ' as `{ signal }`' : '';
    return new errors.ProgrammingError(
      `expected the options of ${this.#name} to be an object, got ${describeGiven(given)}; write ${advice === '' ? this.#signature : `it${advice}`}`,
    );
  }

  #unknown(options: object): Error {
    if (Array.isArray(options) || isAbortSignal(options)) return this.#noOptions(options);
    const sentences: string[] = [];
    for (const name in options) {
      if (this.has(name)) continue;
      const advice = this.explain(name, Reflect.get(options, name));
      sentences.push(
        `unknown option \`${name}\` of ${this.#name}: ${advice ?? `the options are ${[...this.names].join(', ')}`}`,
      );
    }
    return new errors.ProgrammingError(sentences.join('\n'));
  }
}

const MOST_SHOWN = 6;

/** A Map, a promise or a Date has no options, though it is an object. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null || !isBuiltIn(value);
}

function isBuiltIn(value: object): boolean {
  return Object.prototype.toString.call(value) !== '[object Object]' || Symbol.iterator in value;
}

function describeGiven(value: unknown): string {
  return value instanceof Promise ? 'a promise' : describeKind(value);
}
