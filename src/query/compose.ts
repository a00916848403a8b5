import { literal, type LiteralContext } from './literal.js';
import * as errors from '../errors/index.js';
import type { Part } from './composable.js';
import { openAfter, wouldEnd, type Enclosure } from './enclosure.js';
import { behindParameter, behindSql, withParameter } from './parameter.js';

/** Names a literal in errors, as `$2` names a parameter. */
const LITERAL = 'sql.Literal';

/** A text that is put together of the user's SQL, in which quotes and comments mean what they do, and of what must stay out of them. */
class TextBuilder {
  text = '';
  readonly #context: LiteralContext;
  readonly #backslashes: boolean;
  #open: Enclosure | null = null;
  #afterParameter = false;

  constructor(context: LiteralContext) {
    this.#context = context;
    this.#backslashes = hasBackslashes(context);
  }

  /** Adds SQL of the user's. */
  add(text: string): void {
    if (this.#afterParameter) this.text += behindParameter(text);
    else this.text += this.#open === null ? behindSql(this.text, text) : text;
    this.#afterParameter = false;
    this.#open = openAfter(text, this.#open, this.#backslashes);
  }

  /** Adds `$1` or its like. */
  addParameter(number: number): void {
    if (this.#open !== null) {
      throw new errors.ProgrammingError(
        `$${String(number)}: the value stands within a ${this.#open.kind} of the query, where it is no value:` +
          ' take it out of there, and join strings with ||',
      );
    }
    this.text = withParameter(this.text, number);
    this.#afterParameter = true;
  }

  /** Adds a name in its quotes. */
  addIdentifier(text: string): void {
    if (this.#open !== null) checkEnclosed(text, this.#open, `the identifier ${text}`);
    this.text += text;
  }

  /** Adds a value as a literal. */
  addLiteral(value: unknown, place: string): void {
    const text = literal(value, this.#context, place);
    if (this.#open !== null) checkEnclosed(text, this.#open, `${place}: the value`);
    this.text += text;
  }
}

/** Whether strings have escapes also without an E. */
export function hasBackslashes(context: LiteralContext): boolean {
  return context.parameterStatus('standard_conforming_strings') === 'off';
}

/** Raises `ProgrammingError` if `spliced` could end the quotes or the comment in which it would stand. */
export function checkEnclosed(spliced: string, open: Enclosure, what: string): void {
  if (!wouldEnd(open, spliced)) return;
  throw new errors.ProgrammingError(
    `${what} stands within a ${open.kind} of the query, and would end it: take it out of there, and join strings with ||`,
  );
}

/** The text with everything in it, values as literals. */
export function textWithLiterals(parts: readonly Part[], context: LiteralContext): string {
  const builder = new TextBuilder(context);
  let count = 0;
  for (const part of parts) {
    if (part.kind === 'value') builder.addLiteral(part.value, `$${String(++count)}`);
    else addPart(builder, part);
  }
  return builder.text;
}

/**
 * The text with `$1` … in place of the values that the parts carry, and these values. Raises `ProgrammingError` if there are
 * placeholders as well.
 */
export function textWithParameters(
  parts: readonly Part[],
  context: LiteralContext,
): { readonly text: string; readonly values: readonly unknown[] } {
  const builder = new TextBuilder(context);
  let placeholder = false;
  const values: unknown[] = [];
  for (const part of parts) {
    if (part.kind === 'value') builder.addParameter(values.push(part.value));
    else addPart(builder, part);
    placeholder ||= part.kind === 'placeholder';
  }
  if (placeholder && values.length > 0) {
    throw new errors.ProgrammingError(
      'a query can carry values of its own or have placeholders for parameters, not both: use a value in place of each sql.Placeholder()',
    );
  }
  return { text: builder.text, values };
}

function addPart(builder: TextBuilder, part: Exclude<Part, { kind: 'value' }>): void {
  if (part.kind === 'literal') builder.addLiteral(part.value, LITERAL);
  else if (part.kind === 'identifier') builder.addIdentifier(part.text);
  else builder.add(part.text);
}

/** Whether parameters that come separately could have a place in it. */
export function hasPlaceholders(parts: readonly Part[]): boolean {
  return parts.some(
    (part) => part.kind === 'placeholder' || (part.kind === 'sql' && part.text.includes('%')),
  );
}

/** The text with its `%s` placeholders, for parameters that come separately; a percent sign that is one, is doubled. */
export function textWithPlaceholders(parts: readonly Part[], context: LiteralContext): string {
  const builder = new TextBuilder(context);
  let text = '';
  for (const part of parts) {
    if (part.kind === 'value') throw carriesValues();
    const start = builder.text.length;
    addPart(builder, part);
    const own = builder.text.slice(start);
    if (part.kind === 'sql' || part.kind === 'placeholder') {
      text += own;
      continue;
    }
    if (part.kind !== 'verbatim' && part.verbatim !== true && own.includes('%')) {
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
