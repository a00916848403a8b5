import { errors, sql } from '../../index.js';

/** Quotes a name for use in SQL: `"my ""table"""`. Raises `ProgrammingError` for anything but a string. */
export function escapeIdentifier(name: string): string {
  checkText('escapeIdentifier', name);
  return sql.Identifier(name).asString();
}

/**
 * Quotes a string for use in SQL: `'it''s'`. Raises `ProgrammingError` for anything but a string, where node-postgres writes an empty
 * one.
 */
export function escapeLiteral(text: string): string {
  checkText('escapeLiteral', text);
  return sql.Literal(text).asString();
}

function checkText(name: string, value: unknown): void {
  if (typeof value === 'string') return;
  throw new errors.ProgrammingError(
    `${name}() takes a string, got ${value === null ? 'null' : typeof value}; pass values as parameters ($1, $2 …)`,
  );
}
