import * as errors from '../errors/index.js';

/** Quotes a database name. Raises `ProgrammingError` for a value that cannot be a name. */
export function quoteIdentifier(name: unknown): string {
  if (typeof name !== 'string') {
    throw new errors.ProgrammingError(
      `expected the parts of an identifier to be strings, got ${name === null ? 'null' : typeof name}`,
    );
  }
  if (name === '') throw new errors.ProgrammingError("an identifier can't be empty");
  if (name.includes('\0')) {
    throw new errors.ProgrammingError("an identifier can't contain a NUL character ('\\0')");
  }
  if (!name.isWellFormed()) {
    throw new errors.ProgrammingError("the identifier has a lone surrogate, which can't be encoded as UTF-8");
  }
  return `"${name.replaceAll('"', '""')}"`;
}
