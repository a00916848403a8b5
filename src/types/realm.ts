import { types } from 'node:util';

// A value may come from another realm, whose built-in classes `instanceof` does not recognise: from node:vm, from a test runner's
// sandbox (Jest, jsdom), or from a plugin host. These functions classify values of any realm.

/** Whether a value is a Date of any realm. */
export function isDate(value: unknown): value is Date {
  return value instanceof Date || types.isDate(value);
}

/** Whether a value is a Uint8Array, which includes Buffer, of any realm. */
export function isUint8Array(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || types.isUint8Array(value);
}

/** Whether a prototype is the `Object.prototype` of any realm. */
export function isObjectPrototype(prototype: object): boolean {
  return (
    prototype === Object.prototype ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  );
}

/** Whether a value is a plain object, of any realm. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || isObjectPrototype(prototype);
}

/** Whether a value is a promise of any realm. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return types.isPromise(value);
}

/** This realm's counterpart of the built-in class that the value is an instance of; null if it is of no built-in class. */
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

/** The class of a view by its tag, which is independent of its prototypes. A DataView has no such tag. */
function viewClass(view: ArrayBufferView): unknown {
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
  const name: unknown = Reflect.get(typedArray, Symbol.toStringTag, view);
  return name === undefined ? DataView : Reflect.get(globalThis, name as string);
}
