import { errors } from '../../index.js';
import { defaults } from './defaults.js';

/** A value that converts itself, as node-postgres lets it. */
interface Convertible {
  toPostgres(prepare: (value: unknown) => unknown): unknown;
}

/** The depth to which the results of `toPostgres()` are converted. */
const DEEPEST = 50;

/**
 * The values of a statement as the library's dumpers take them: what has a method `toPostgres()` is converted by it, and dates become
 * UTC if `defaults.parseInputDatesAsUTC` is set.
 */
export function preparedValues(values: readonly unknown[]): readonly unknown[] {
  // Most statements have none of these.
  for (const value of values) {
    if (typeof value === 'object' && value !== null && needsConversion(value)) return values.map((each) => prepared(each, 0));
  }
  return values;
}

function needsConversion(value: object): boolean {
  return (
    isConvertible(value) ||
    (defaults.parseInputDatesAsUTC && value instanceof Date) ||
    (Array.isArray(value) && value.some((item) => typeof item === 'object' && item !== null && needsConversion(item as object)))
  );
}

function isConvertible(value: object): value is Convertible {
  return 'toPostgres' in value && typeof value.toPostgres === 'function';
}

function prepared(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) {
    throw new errors.ProgrammingError('a circular reference was found while the toPostgres() of a parameter was called');
  }
  if (isConvertible(value)) return prepared(value.toPostgres((inner) => prepared(inner, depth + 1)), depth + 1);
  if (value instanceof Date && defaults.parseInputDatesAsUTC) return inUtc(value);
  if (Array.isArray(value)) return value.map((item) => prepared(item, depth + 1));
  return value;
}

function inUtc(date: Date): string {
  const text = date.toISOString();
  const year = date.getUTCFullYear();
  if (year > 0) return text.replace(/^\+0*/, '').replace('Z', '+00:00');
  // ISO's year 0 is PostgreSQL's 1 BC.
  return `${String(1 - year).padStart(4, '0')}${text.slice(text.indexOf('-', 1)).replace('Z', '+00:00')} BC`;
}
