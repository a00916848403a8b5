import type { DataError } from '../errors/index.js';
import { refused, type Place } from './codec.js';

/** Raises `DataError` for a string that the server would reject or that UTF-8 cannot represent. */
export function checkText(value: string, place: Place): string {
  if (value.includes('\0')) throw nulRefused(place);
  if (!value.isWellFormed()) throw surrogateRefused(place);
  return value;
}

export function nulRefused(place: Place): DataError {
  return refused(place, "PostgreSQL text can't contain a NUL character ('\\0')");
}

export function surrogateRefused(place: Place): DataError {
  return refused(place, "the string has a lone surrogate, which can't be encoded as UTF-8");
}
