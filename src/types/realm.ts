import { types } from 'node:util';

// A value may come from another realm, with built-in classes of its own that `instanceof` does not know: from node:vm, from a test
// runner's sandbox (Jest, jsdom), from a host of plugins. These functions tell what it is all the same.

/** Whether a value is a Date, of whatever realm. */
export function isDate(value: unknown): value is Date {
  return value instanceof Date || types.isDate(value);
}

/** Whether a value is a Uint8Array, which a Buffer is as well, of whatever realm. */
export function isUint8Array(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || types.isUint8Array(value);
}

/** Whether a prototype is `Object.prototype`, of whatever realm. */
export function isObjectPrototype(prototype: object): boolean {
  return (
    prototype === Object.prototype ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  );
}

/** Whether a value is an object without a class of its own. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || isObjectPrototype(prototype);
}

/** Whether a value is a promise, of whatever realm. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return types.isPromise(value);
}

/** The built-in class of this realm that the value would be an instance of if it had been made here; null if there is none. */
export function builtInClass(value: object): unknown {
  if (Array.isArray(value)) return Array;
  if (types.isDate(value)) return Date;
  if (ArrayBuffer.isView(value)) return viewClass(value);
  if (types.isMap(value)) return Map;
  if (types.isSet(value)) return Set;
  if (types.isRegExp(value)) return RegExp;
  if (types.isArrayBuffer(value)) return ArrayBuffer;
  if (types.isPromise(value)) return Promise;
  return types.isNativeError(value) ? Error : null;
}

/** The tag says what a view is, whatever its prototypes are; a DataView has none of that kind. */
function viewClass(view: ArrayBufferView): unknown {
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
  const name: unknown = Reflect.get(typedArray, Symbol.toStringTag, view);
  return name === undefined ? DataView : Reflect.get(globalThis, name as string);
}
