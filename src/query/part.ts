/** A piece of a composed query. */
export type Part =
  /** SQL in which `%s` and its like are placeholders, if parameters come with the query. */
  | { readonly kind: 'sql'; readonly text: string }
  /** A placeholder. */
  | { readonly kind: 'placeholder'; readonly text: string }
  /** SQL in which a percent sign is a percent sign: the text of a template. */
  | { readonly kind: 'verbatim'; readonly text: string }
  /** A name, in its quotes. `verbatim`: a percent sign in it is one, also if parameters come with the query. */
  | { readonly kind: 'identifier'; readonly text: string; readonly verbatim?: boolean }
  /** A value that becomes part of the text. */
  | { readonly kind: 'literal'; readonly value: unknown; readonly verbatim?: boolean }
  /** A value that is sent as a parameter. */
  | { readonly kind: 'value'; readonly value: unknown };

/** What a composable is made of: plain data, which another copy of the package can read. */
export interface Fragment {
  /** The number of this format. */
  readonly version: number;
  readonly parts: readonly Part[];
}
