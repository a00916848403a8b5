import { Composable, Identifier, isComposable, ownComposable } from './composable.js';
import type { Part } from './part.js';
import { SqlScanner } from '../sql-scanner.js';
import { isSendable } from './placeholders.js';
import { QueryText } from './query-text.js';

/** A text with `$1` …, and the values of these parameters. */
export interface PlainQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The result of `` sql`…` ``: text and the values that it carries (Psycopg: a template string). */
export class Template extends Composable {
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];
  readonly #hasComposables: boolean;

  /** `strings` has one element more than `values`. Raises `ProgrammingError` for an unreadable composable. */
  constructor(strings: readonly string[], values: readonly unknown[]) {
    super();
    this.#strings = strings;
    this.#hasComposables = values.some(isComposable);
    this.#values = this.#hasComposables
      ? values.map((value) => (isComposable(value) ? ownComposable(value) : value))
      : values;
  }

  /** @internal */
  override get isTemplate(): boolean {
    return true;
  }

  /**
   * The text and parameters of a template that contains only values, names, and templates of this kind. Null for other templates,
   * which need a full analysis. Strings must not have escapes without an E.
   *
   * @internal
   */
  plain(): PlainQuery | null {
    if (this.#hasComposables) return this.#plainNested();
    const { text } = analysisOf(this.#strings);
    return text === null ? null : { text, values: this.#values };
  }

  /** Handles nested templates without recursion: a query composed in a loop is as deep as it is long. */
  #plainNested(): PlainQuery | null {
    const texts: string[] = [];
    const values: unknown[] = [];
    const outer: { readonly template: Template; readonly next: number }[] = [];
    let { template, next }: { template: Template; next: number } = { template: this, next: 0 };
    if (!analysisOf(template.#strings).separable) return null;
    for (;;) {
      texts.push(template.#strings[next]!);
      if (next === template.#values.length) {
        const level = outer.pop();
        if (level === undefined) return { text: texts.join(''), values };
        ({ template, next } = level);
        continue;
      }
      const value = template.#values[next++];
      if (!(value instanceof Composable)) {
        texts.push(`$${String(values.push(value))}`);
      } else if (value instanceof Identifier) {
        texts.push(value.quoted);
      } else if (value instanceof Template && analysisOf(value.#strings).separable) {
        outer.push({ template, next });
        template = value;
        next = 0;
      } else {
        return null;
      }
    }
  }

  /** @internal */
  override content(): readonly (Part | Composable)[] {
    const content: (Part | Composable)[] = [];
    for (let i = 0; i < this.#strings.length; i++) {
      const text = this.#strings[i]!;
      if (text !== '') content.push({ kind: 'verbatim', text });
      if (i === this.#values.length) break;
      const value = this.#values[i];
      content.push(value instanceof Composable ? value : { kind: 'value', value });
    }
    return content;
  }
}

/** The analysis of a template's strings, independent of what is inserted between them. */
interface TemplateAnalysis {
  /**
   * The text with `$1` … between the strings; null if a parameter would be inside quotes, for example, or if the text cannot be
   * sent.
   */
  readonly text: string | null;
  /** Whether each string is complete SQL by itself, so that a value or a name may follow any of them. */
  readonly separable: boolean;
}

const analyses = new WeakMap<readonly string[], TemplateAnalysis>();

function analysisOf(strings: readonly string[]): TemplateAnalysis {
  let analysis = analyses.get(strings);
  if (analysis === undefined) {
    analysis = { text: plainText(strings), separable: areSeparable(strings) };
    // A frozen array belongs to a template literal in the program: it is the same at each execution, and never changes.
    if (Object.isFrozen(strings)) analyses.set(strings, analysis);
  }
  return analysis;
}

/** Text that begins like this may join the previous token, form a comment with its end, or continue a string. */
const MAY_JOIN = /^(?:[\w$'".*\-\x80-\uffff]|\s+['-])/;

function areSeparable(strings: readonly string[]): boolean {
  const last = strings.length - 1;
  return strings.every((text, i) => {
    if (i > 0 && (MAY_JOIN.test(text) || (text === '' && i < last))) return false;
    if (!isSendable(text)) return false;
    const state = new SqlScanner(false);
    state.read(text);
    return i < last ? state.isNeutral : state.open === null;
  });
}

/**
 * The text with `$1` … between the strings; null if a parameter would be inside quotes, for example, or if the text cannot be
 * sent.
 */
function plainText(strings: readonly string[]): string | null {
  const text = new QueryText(false);
  for (let i = 0; i < strings.length; i++) {
    if (i > 0) {
      if (text.open !== null) return null;
      text.addParameter(i);
    }
    text.add(strings[i]!);
  }
  const plain = text.toString();
  return isSendable(plain) ? plain : null;
}
