import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import * as usingpg from '../../src/index.js';
import { camelCase, member, type Expected } from './scenario.js';

/** Python's own exception classes, without a counterpart in JavaScript; any error matches. */
const PYTHON_ERRORS: ReadonlySet<string> = new Set(['ValueError', 'TypeError', 'IndexError', 'KeyError']);

/** The exception that scenarios throw themselves. */
export class Boom extends Error {
  constructor() {
    super('boom');
  }
}

/** Asks the server whether `value`, sent back and cast to `type`, has the text `text`. */
export type RoundTrip = (value: unknown, type: string) => Promise<unknown>;

/** Compares a recorded error with the raised one. `details` includes texts that differ between server versions. */
export function compareError(error: unknown, expected: Expected, details: boolean, where: string): void {
  const name = expected.error!;
  if (name === 'Boom') {
    expect(error, where).toBeInstanceOf(Boom);
    return;
  }
  expect(error, where).toBeInstanceOf(Error);
  if (PYTHON_ERRORS.has(name)) return;
  if (name === 'Rollback') {
    expect(error, where).toBeInstanceOf(usingpg.Rollback);
    return;
  }
  for (const parent of [name, ...(expected.is_a ?? [])]) {
    expect(error, `${where}: ${String(error)}`).toBeInstanceOf(member(usingpg.errors, parent));
  }
  const raised = error as usingpg.errors.Error;
  if (expected.sqlstate !== undefined) {
    expect(raised.constructor, where).toBe(member(usingpg.errors, name));
    expect(raised.sqlstate, `${where}: sqlstate`).toBe(expected.sqlstate);
  }
  if (!details) return;
  for (const [field, text] of Object.entries(expected.diag ?? {})) {
    expect(String(Reflect.get(raised.diag, camelCase(field))), `${where}: diag.${field}`).toBe(text);
  }
}

/** Compares the result of a call with Psycopg's. */
export async function compareValue(
  actual: unknown,
  expected: unknown,
  roundTrip: RoundTrip,
  where: string,
): Promise<void> {
  if (Array.isArray(expected)) {
    const items: unknown[] = Array.isArray(actual) ? actual : Object.values(actual as object);
    expect(items, `${where}: length`).toHaveLength(expected.length);
    for (const [i, item] of expected.entries()) {
      const at = `${where}[${String(i)}]`;
      const type = pgtext(item);
      if (type === null) await compareValue(items[i], item, roundTrip, at);
      else expect(await roundTrip(items[i], type), at).toBe(expected[i + 1]);
    }
    return;
  }
  if (typeof expected !== 'object' || expected === null) {
    if (!sameJsonText(actual, expected)) expect(actual, where).toStrictEqual(expected);
    return;
  }
  const [[kind, content] = ['', null] as const] = Object.entries(expected) as [string, unknown][];
  switch (kind) {
    case 'int':
      expect(['number', 'bigint'], `${where}: ${typeof actual}`).toContain(typeof actual);
      expect(BigInt(actual as number | bigint), where).toBe(BigInt(content as string));
      return;
    case 'float': {
      const number = { nan: NaN, inf: Infinity, '-inf': -Infinity }[content as string] ?? Number(content);
      expect(actual instanceof usingpg.Float8 ? Number(actual) : actual, where).toBe(number);
      return;
    }
    case 'numeric':
      expect(['string', 'number', 'bigint', 'object'], where).toContain(typeof actual);
      expect(canonicalNumeric(String(actual)), where).toBe(canonicalNumeric(content as string));
      return;
    case 'bytes':
      expect(actual, where).toBeInstanceOf(Uint8Array);
      expect(Buffer.from(actual as Uint8Array).toString('hex'), where).toBe(content);
      return;
    case 'instant_ms':
      expect(actual, where).toBeInstanceOf(Date);
      expect((actual as Date).getTime(), where).toBe(Number(content));
      return;
    case 'range': {
      const bounds = ['lower', 'upper', 'bounds'].map((name): unknown => Reflect.get(actual as object, name));
      expect(actual, where).toBeInstanceOf(member(usingpg, 'Range'));
      if (Array.isArray(content)) await compareValue(bounds, content, roundTrip, where);
      else expect(member(actual, 'isempty'), where).toBe(true);
      return;
    }
    case 'multirange':
      expect(actual, where).toBeInstanceOf(member(usingpg, 'Multirange'));
      await compareValue([...(actual as Iterable<unknown>)], content, roundTrip, where);
      return;
    case 'xid':
      await compareValue(
        ['formatId', 'gtrid', 'bqual'].map((name) => member(actual, name)),
        (content as unknown[]).map((part) => (typeof part === 'number' ? { int: String(part) } : part)),
        roundTrip,
        where,
      );
      return;
    case 'notify':
      expect([member(actual, 'channel'), member(actual, 'payload')], where).toStrictEqual(content);
      return;
    case 'enum':
      expect(actual, where).toBe(content);
      return;
    case 'dict': {
      const entries = Object.entries(content as object);
      expect(Object.keys(actual as object).sort(), where).toStrictEqual(entries.map(([key]) => key).sort());
      for (const [key, item] of entries) {
        await compareValue(Reflect.get(actual as object, key), item, roundTrip, `${where}.${key}`);
      }
      return;
    }
    case 'object':
      expect(actual, where).toBeInstanceOf(member(usingpg, content as string));
      return;
    default:
      throw new Error(`a recorded outcome is of the unknown kind ${kind}`);
  }
}

/** The type by which a value, or each element of an array, is compared as the server's text; null for no such comparison. */
function pgtext(expected: unknown): string | null {
  if (Array.isArray(expected)) {
    const types = expected.filter((item) => item !== null).map(pgtext);
    const [first] = types;
    if (first == null) return null;
    return types.every((type) => type === first) ? (first.endsWith('[]') ? first : `${first}[]`) : null;
  }
  return typeof expected === 'object' && expected !== null && 'pgtext' in expected
    ? String(expected.pgtext)
    : null;
}

function sameJsonText(actual: unknown, expected: unknown): boolean {
  if (typeof actual !== 'string' || typeof expected !== 'string') return false;
  if (!/^\s*[[{]/.test(expected)) return withCompactJson(actual) === withCompactJson(expected);
  try {
    return isDeepStrictEqual(JSON.parse(actual), JSON.parse(expected));
  } catch {
    return false;
  }
}

/** A query without the white space in its JSON literals, which depends on the JSON serialiser. */
function withCompactJson(query: string): string {
  return query.replace(/'((?:[^']|'')*)'(?=::json)/g, (literal, json: string) => {
    try {
      return `'${JSON.stringify(JSON.parse(json))}'`;
    } catch {
      return literal;
    }
  });
}

/** A canonical text of a number: sign, digits without leading and trailing zeros, power of ten. */
function canonicalNumeric(text: string): string {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text);
  if (match === null) return text.toLowerCase();
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${sign === '-' ? '-' : ''}${significant}e${String(power)}`;
}
