/** A piece of a composed query. */
export type Part =
  /** SQL text in which `%s` and the other placeholders are recognised if the query has parameters. */
  | { readonly kind: 'sql'; readonly text: string }
  /** A placeholder. */
  | { readonly kind: 'placeholder'; readonly text: string }
  /** SQL text of a template, in which a percent sign is a literal character. */
  | { readonly kind: 'verbatim'; readonly text: string }
  /** A quoted name. `verbatim`: a percent sign in it is a literal character, even if the query has parameters. */
  | { readonly kind: 'identifier'; readonly text: string; readonly verbatim?: boolean }
  /** A value that becomes part of the text. */
  | { readonly kind: 'literal'; readonly value: unknown; readonly verbatim?: boolean }
  /** A value that is sent as a parameter. */
  | { readonly kind: 'value'; readonly value: unknown };

/** The content of a composable as plain data, which another copy of the package can read. */
export interface Fragment {
  /** The version of this format. */
  readonly version: number;
  readonly parts: readonly Part[];
}
