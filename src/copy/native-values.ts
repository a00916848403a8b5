import type { AdaptersMap } from '../adapt/adapters-map.js';
import { dumpMultirange, dumpRange } from '../adapt/dump-range.js';
import {
  dumpBoolean,
  dumpBytes,
  dumpDate,
  dumpInteger,
  dumpNumber,
  dumpText,
} from '../adapt/dump-scalars.js';
import { isDate, isUint8Array } from '../adapt/realm.js';

/**
 * Which values have the dumper that the library has for them, so that they may be encoded without it. With another one, which
 * somebody has registered, they are not.
 */
export class NativeValues {
  readonly number: boolean;
  readonly bigint: boolean;
  readonly string: boolean;
  readonly boolean: boolean;
  readonly #map: AdaptersMap;
  readonly #dates: boolean;

  constructor(map: AdaptersMap) {
    this.#map = map;
    this.number = map.dumperForType('number') === dumpNumber;
    this.bigint = map.dumperForType('bigint') === dumpInteger;
    this.string = map.dumperForType('string') === dumpText;
    this.boolean = map.dumperForType('boolean') === dumpBoolean;
    this.#dates = map.dumperForObject(new Date(0)) === dumpDate;
  }

  isDate(value: object): value is Date {
    // Asking the map takes longer than writing the date.
    if (Object.getPrototypeOf(value) === Date.prototype) return this.#dates;
    return isDate(value) && this.#map.dumperForObject(value) === dumpDate;
  }

  isBytes(value: object): value is Uint8Array {
    return isUint8Array(value) && this.#map.dumperForObject(value) === dumpBytes;
  }

  isArray(value: object): value is unknown[] {
    return Array.isArray(value) && this.#map.dumperForObject(value) === undefined;
  }

  isRange(value: object): boolean {
    return this.#map.dumperForObject(value) === dumpRange;
  }

  isMultirange(value: object): boolean {
    return this.#map.dumperForObject(value) === dumpMultirange;
  }

  /** Whether the library's own dumper is the one for this value. */
  has(value: unknown): boolean {
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
          (this.isDate(value) ||
            this.isBytes(value) ||
            this.isArray(value) ||
            this.isRange(value) ||
            this.isMultirange(value))
        );
      default:
        return false;
    }
  }
}
