/** The fields of a server's error or notice (Psycopg: `Diagnostic`). A field that the server did not send is null. */
export class Diagnostic {
  readonly #fields: ReadonlyMap<string, string>;

  /** `fields` are keyed by the protocol's letters. */
  constructor(fields: ReadonlyMap<string, string>) {
    this.#fields = fields;
  }

  /** ERROR, FATAL, WARNING …, in the server's language. */
  get severity(): string | null {
    return this.#field('S');
  }
  /** ERROR, FATAL, WARNING …, never translated. */
  get severityNonlocalized(): string | null {
    return this.#field('V');
  }
  get sqlstate(): string | null {
    return this.#field('C');
  }
  get messagePrimary(): string | null {
    return this.#field('M');
  }
  get messageDetail(): string | null {
    return this.#field('D');
  }
  get messageHint(): string | null {
    return this.#field('H');
  }
  /** The position in the query as it was sent, in characters from 1. */
  get statementPosition(): string | null {
    return this.#field('P');
  }
  get internalPosition(): string | null {
    return this.#field('p');
  }
  get internalQuery(): string | null {
    return this.#field('q');
  }
  get context(): string | null {
    return this.#field('W');
  }
  get schemaName(): string | null {
    return this.#field('s');
  }
  get tableName(): string | null {
    return this.#field('t');
  }
  get columnName(): string | null {
    return this.#field('c');
  }
  get datatypeName(): string | null {
    return this.#field('d');
  }
  get constraintName(): string | null {
    return this.#field('n');
  }
  get sourceFile(): string | null {
    return this.#field('F');
  }
  get sourceLine(): string | null {
    return this.#field('L');
  }
  get sourceFunction(): string | null {
    return this.#field('R');
  }

  #field(letter: string): string | null {
    return this.#fields.get(letter) ?? null;
  }
}
