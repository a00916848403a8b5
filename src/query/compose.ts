import { literal, type LiteralContext } from '../adapt/literal.js';
import * as errors from '../errors/index.js';
import type { Part } from './composable.js';

/** Names a literal in errors, as `$2` names a parameter. */
const LITERAL = 'sql.Literal';

/** The text with everything in it, values as literals. */
export function textWithLiterals(parts: readonly Part[], context: LiteralContext): string {
  let text = '';
  let count = 0;
  for (const part of parts) {
    if (part.kind === 'value') text += literal(part.value, context, `$${String(++count)}`);
    else text += part.kind === 'literal' ? literal(part.value, context, LITERAL) : part.text;
  }
  return text;
}

/** The text with `$1` … in place of the values that the parts carry, and these values. */
export function textWithParameters(
  parts: readonly Part[],
  context: LiteralContext,
): { readonly text: string; readonly values: readonly unknown[] } {
  let text = '';
  let placeholder = false;
  const values: unknown[] = [];
  for (const part of parts) {
    if (part.kind === 'value') text += `$${String(values.push(part.value))}`;
    else text += part.kind === 'literal' ? literal(part.value, context, LITERAL) : part.text;
    placeholder ||= part.kind === 'placeholder';
  }
  if (placeholder && values.length > 0) {
    throw new errors.ProgrammingError(
      'a query can carry values of its own or have placeholders for parameters, not both: use a value in place of each sql.Placeholder()',
    );
  }
  return { text, values };
}

/** Whether parameters that come separately could have a place in it. */
export function hasPlaceholders(parts: readonly Part[]): boolean {
  return parts.some(
    (part) => part.kind === 'placeholder' || (part.kind === 'sql' && part.text.includes('%')),
  );
}

/** The text with its `%s` placeholders, for parameters that come separately; a percent sign that is one, is doubled. */
export function textWithPlaceholders(parts: readonly Part[], context: LiteralContext): string {
  let text = '';
  for (const part of parts) {
    if (part.kind === 'sql' || part.kind === 'placeholder') {
      text += part.text;
      continue;
    }
    if (part.kind === 'value') throw carriesValues();
    const own = part.kind === 'literal' ? literal(part.value, context, LITERAL) : part.text;
    const isVerbatim = part.kind === 'verbatim' || (part.kind === 'literal' && part.verbatim === true);
    if (!isVerbatim && own.includes('%')) {
      // A literal may be a secret, so it is not shown.
      const what = part.kind === 'literal' ? 'a literal' : `the identifier ${own}`;
      throw new errors.ProgrammingError(
        `${what} has a percent sign, which would count as a placeholder since the query comes with parameters:` +
          ' compose the query with sql`…`, where a percent sign is only that',
      );
    }
    text += own.replaceAll('%', '%%');
  }
  return text;
}

/** The text as it is, for parameters that come separately and placeholders that are the server's. */
export function textWithoutValues(parts: readonly Part[], context: LiteralContext): string {
  const { text, values } = textWithParameters(parts, context);
  if (values.length > 0) throw carriesValues();
  return text;
}

/** What an error message shows of a query: its text, without values. */
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
