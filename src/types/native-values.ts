import type { Adapters, Dumper } from './adaptation.js';
import { dumpMultirange, dumpRange } from './range-codec.js';
import { dumpBoolean, dumpBytes, dumpDate, dumpInteger, dumpNumber, dumpText } from './dump-scalars.js';
import { isDate, isPlainObject, isUint8Array } from './realm.js';

const OF_CLASSES: ReadonlySet<Dumper | undefined> = new Set<Dumper | undefined>([
  undefined,
  dumpDate,
  dumpBytes,
  dumpRange,
  dumpMultirange,
]);

/**
 * @internal Tells which values have the library's own dumper, so that they may be encoded without calling it. A dumper
 *   registered by a user for their class excludes them.
 */
export class NativeValues {
  readonly number: boolean;
  readonly bigint: boolean;
  readonly string: boolean;
  readonly boolean: boolean;
  readonly #adapters: Adapters;
  readonly #dates: boolean;

  constructor(adapters: Adapters) {
    this.#adapters = adapters;
    this.number = adapters.dumperForType('number') === dumpNumber;
    this.bigint = adapters.dumperForType('bigint') === dumpInteger;
    this.string = adapters.dumperForType('string') === dumpText;
    this.boolean = adapters.dumperForType('boolean') === dumpBoolean;
    this.#dates = adapters.dumperForObject(new Date(0)) === dumpDate;
  }

  isDate(value: object): value is Date {
    // Looking the dumper up takes longer than writing the date.
    if (Object.getPrototypeOf(value) === Date.prototype) return this.#dates;
    return isDate(value) && this.#adapters.dumperForObject(value) === dumpDate;
  }

  isBytes(value: object): value is Uint8Array {
    return isUint8Array(value) && this.#adapters.dumperForObject(value) === dumpBytes;
  }

  /** Whether the codec of its type may write the value: no dumper other than the library's is registered for it. */
  leaves(value: unknown): boolean {
    switch (typeof value) {
      case 'number':
        return this.number;
      case 'bigint':
        return this.bigint;
      case 'string':
        return this.string;
      case 'boolean':
        return this.boolean;
      case 'object':
        if (value === null) return false;
        if (Object.getPrototypeOf(value) === Date.prototype) return this.#dates;
        return isPlainObject(value) || OF_CLASSES.has(this.#adapters.dumperForObject(value));
      default:
        return false;
    }
  }
}
