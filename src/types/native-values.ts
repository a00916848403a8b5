import type { Adapters, Dumper } from './adaptation.js';
import { dumpMultirange, dumpRange } from './dump-range.js';
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
 * Which values have the dumper that the library has for them, so that they may be encoded without it. With another one, which
 * somebody has registered, they are not. @internal
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
    // Asking the adapters takes longer than writing the date.
    if (Object.getPrototypeOf(value) === Date.prototype) return this.#dates;
    return isDate(value) && this.#adapters.dumperForObject(value) === dumpDate;
  }

  isBytes(value: object): value is Uint8Array {
    return isUint8Array(value) && this.#adapters.dumperForObject(value) === dumpBytes;
  }

  /** Whether a value is left to the codec of its type: no other dumper than the library's is there for it. */
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
        return (
          value !== null &&
          (Object.getPrototypeOf(value) === Date.prototype
            ? this.#dates
            : isPlainObject(value) || OF_CLASSES.has(this.#adapters.dumperForObject(value)))
        );
      default:
        return false;
    }
  }
}
