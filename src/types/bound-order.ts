import * as errors from '../errors/index.js';
import { scanDecimal } from './decimal.js';
import { isDate } from './realm.js';

/**
 * Compares two bounds of a range: negative if `a` comes first, positive if `b` does, NaN if their order is undefined. Raises
 * `ProgrammingError` for values that cannot be compared.
 */
export function compareBounds(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b);
  if (isNumber(a) && isNumber(b)) return order(a, b);
  if (isDate(a) && isDate(b)) return order(a.getTime(), b.getTime());
  if (isObject(a) && isObject(b) && a.constructor === b.constructor) {
    // Temporal's classes have a static compare().
    const compare = (a.constructor as { compare?: unknown } | undefined)?.compare;
    if (typeof compare === 'function') return compare.call(a.constructor, a, b) as number;
    const [first, second] = [primitiveOf(a), primitiveOf(b)];
    if (!isObject(first) && !isObject(second)) return compareBounds(first, second);
  }
  throw new errors.ProgrammingError(
    `${described(a)} can't be compared with ${described(b)}, which is a bound of the range`,
  );
}

/** Whether two bounds are the same value. */
export function equalBounds(a: unknown, b: unknown): boolean {
  if (a === b || a === null || b === null) return a === b;
  try {
    return compareBounds(a, b) === 0;
  } catch {
    return false;
  }
}

function order<T extends number | bigint | string>(a: T, b: T): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return a <= b ? 0 : NaN;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' || typeof value === 'bigint';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function described(value: unknown): string {
  if (!isObject(value)) return value === null || value === undefined ? String(value) : `a ${typeof value}`;
  const { constructor } = value as { readonly constructor?: { readonly name?: string } };
  return `an object of class ${constructor?.name ?? 'Object'}`;
}

/** The value of one of the library's wrappers, or of an object that converts to a primitive. */
function primitiveOf(object: object): unknown {
  if ('value' in object) return object.value;
  return typeof object.valueOf === 'function' ? object.valueOf() : object;
}

/** A date or timestamp; the server marks years before 1 with BC. */
const DATE = /^(\d{4,7})(-\d\d-\d\d.*?)( BC)?$/;
/** The special values of numeric and of dates and times, in their order. numeric sorts NaN above infinity. */
const BEYOND: Readonly<Record<string, number>> = { '-infinity': -1, infinity: 1, nan: 2 };

function compareTexts(a: string, b: string): number {
  const [decimalA, decimalB] = [parseDecimal(a), parseDecimal(b)];
  if (decimalA !== null && decimalB !== null) return compareDecimals(decimalA, decimalB);
  const [dateA, dateB] = [DATE.exec(a), DATE.exec(b)];
  if (dateA !== null && dateB !== null) {
    return order(yearOf(dateA), yearOf(dateB)) || compareCharacters(dateA[2]!, dateB[2]!);
  }
  const [isKnownA, isKnownB] = [decimalA ?? dateA, decimalB ?? dateB].map((known) => known !== null);
  const [beyondA, beyondB] = [BEYOND[a.toLowerCase()], BEYOND[b.toLowerCase()]];
  if ((isKnownA || beyondA !== undefined) && (isKnownB || beyondB !== undefined)) {
    return order(beyondA ?? 0, beyondB ?? 0);
  }
  return compareCharacters(a, b);
}

function yearOf([, year, , bc]: RegExpExecArray): number {
  return bc === undefined ? Number(year) : 1 - Number(year);
}

function compareCharacters(a: string, b: string): number {
  // ISO 8601 separates date and time by a T, the server by a space.
  const [first, second] = [a, b].map((text) => text.replace(/^(-\d\d-\d\d)T/, '$1 ')) as [string, string];
  return order(first, second);
}

/** A decimal number: its sign, and its digits after the decimal point multiplied by a power of ten. */
interface Decimal {
  readonly sign: number;
  readonly digits: string;
  readonly power: number;
}

function parseDecimal(text: string): Decimal | null {
  const decimal = scanDecimal(text);
  if (decimal === null) return null;
  const { negative, whole, fraction, exponent } = decimal;
  const digits = text.slice(...whole) + text.slice(...fraction);
  let start = 0;
  while (digits[start] === '0') start++;
  let end = digits.length;
  while (end > start && digits[end - 1] === '0') end--;
  if (start === end) return { sign: 0, digits: '', power: 0 };
  const power = exponent + whole[1] - whole[0] - start;
  return { sign: negative ? -1 : 1, digits: digits.slice(start, end), power };
}

function compareDecimals(a: Decimal, b: Decimal): number {
  return order(a.sign, b.sign) || a.sign * (order(a.power, b.power) || order(a.digits, b.digits));
}
