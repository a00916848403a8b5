import { literal, type LiteralContext } from './literal.js';
import * as errors from '../errors/index.js';
import type { Part } from './part.js';
import { withoutPlaceholders } from './placeholders.js';
import { QueryText } from './query-text.js';

/** How errors name a literal; a parameter is named `$2`. */
const LITERAL = 'sql.Literal';

/** Whether backslashes escape in strings without an E (standard_conforming_strings is off). */
export function hasBackslashes(context: LiteralContext): boolean {
  return context.parameterStatus('standard_conforming_strings') === 'off';
}

/** The complete text, with values as literals. */
export function textWithLiterals(parts: readonly Part[], context: LiteralContext): string {
  const text = new QueryText(hasBackslashes(context));
  let count = 0;
  for (const part of parts) {
    if (part.kind === 'value') {
      const place = `$${String(++count)}`;
      text.addLiteral(literal(part.value, context, place), place);
    } else {
      addPart(text, part, context);
    }
  }
  return text.toString();
}

/**
 * The text with `$1` … in place of the values that the parts carry, and these values. Raises `ProgrammingError` if there are
 * placeholders as well.
 */
export function textWithParameters(
  parts: readonly Part[],
  context: LiteralContext,
): { readonly text: string; readonly values: readonly unknown[] } {
  const text = new QueryText(hasBackslashes(context));
  let placeholder = false;
  const values: unknown[] = [];
  for (const part of parts) {
    if (part.kind === 'value') text.addParameter(values.push(part.value));
    else addPart(text, part, context);
    placeholder ||= part.kind === 'placeholder';
  }
  if (placeholder && values.length > 0) {
    throw new errors.ProgrammingError(
      'a query can carry values of its own or have placeholders for parameters, not both: use a value in place of each sql.Placeholder()',
    );
  }
  return { text: text.toString(), values };
}

function addPart(
  text: QueryText,
  part: Exclude<Part, { readonly kind: 'value' }>,
  context: LiteralContext,
): void {
  if (part.kind === 'literal') text.addLiteralOrSuffix(literal(part.value, context, LITERAL), LITERAL);
  else if (part.kind === 'identifier') text.addIdentifier(part.text);
  else text.add(part.text);
}

/** Whether the parts contain placeholders for separate parameters. */
export function hasPlaceholders(parts: readonly Part[]): boolean {
  return parts.some(
    (part) => part.kind === 'placeholder' || (part.kind === 'sql' && part.text.includes('%')),
  );
}

/** The text with `%s` placeholders for separate parameters; literal percent signs are doubled. */
export function textWithPlaceholders(parts: readonly Part[], context: LiteralContext): string {
  const text = new QueryText(hasBackslashes(context));
  for (const part of parts) {
    switch (part.kind) {
      case 'value':
        throw carriesValues();
      case 'sql':
      case 'placeholder':
        text.add(withoutPlaceholders(part.text), part.text);
        break;
      case 'verbatim':
        text.add(part.text, doubled(part.text));
        break;
      case 'identifier':
        if (part.verbatim !== true) checkPercent(part.text, `the identifier ${part.text}`);
        text.addIdentifier(part.text, doubled(part.text));
        break;
      case 'literal': {
        const value = literal(part.value, context, LITERAL);
        // A literal may be a secret, so the message does not show it.
        if (part.verbatim !== true) checkPercent(value.text, 'a literal');
        text.addLiteralOrSuffix(value, LITERAL, doubled);
      }
    }
  }
  return text.toString();
}

function doubled(text: string): string {
  return text.replaceAll('%', '%%');
}

function checkPercent(text: string, what: string): void {
  if (!text.includes('%')) return;
  throw new errors.ProgrammingError(
    `${what} has a percent sign, which would count as a placeholder since the query comes with parameters:` +
      ' compose the query with sql`…`, where a percent sign is a literal character',
  );
}

/** The text for separate parameters, with the server's own placeholders (`$1`). */
export function textWithoutValues(parts: readonly Part[], context: LiteralContext): string {
  const { text, values } = textWithParameters(parts, context);
  if (values.length > 0) throw carriesValues();
  return text;
}

/** Whether the query has values that become part of its text, however it is bound. */
export function hasLiterals(parts: readonly Part[]): boolean {
  return parts.some(({ kind }) => kind === 'literal');
}

/** The text without values, for error messages. */
export function outline(parts: readonly Part[]): string {
  let count = 0;
  return parts
    .map((part) => {
      if (part.kind === 'value') return `$${String(++count)}`;
      return part.kind === 'literal' ? '…' : part.text;
    })
    .join('');
}

function carriesValues(): Error {
  return new errors.ProgrammingError(
    'the query carries its own values, so it takes no parameters besides: put them into the template too (${value}),' +
      ' or write ${sql.Placeholder()} in place of its values',
  );
}
