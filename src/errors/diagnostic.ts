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
  /** The SQLSTATE, five characters. */
  get sqlstate(): string | null {
    return this.#field('C');
  }
  /** The primary message. */
  get messagePrimary(): string | null {
    return this.#field('M');
  }
  /** Details of the problem. */
  get messageDetail(): string | null {
    return this.#field('D');
  }
  /** A suggestion what to do. */
  get messageHint(): string | null {
    return this.#field('H');
  }
  /** The position in the query as it was sent, in characters from 1. */
  get statementPosition(): string | null {
    return this.#field('P');
  }
  /** The position in `internalQuery`, in characters from 1. */
  get internalPosition(): string | null {
    return this.#field('p');
  }
  /** The query that failed inside the server, such as one of a PL/pgSQL function. */
  get internalQuery(): string | null {
    return this.#field('q');
  }
  /** The call stack of the server: active functions and queries, or the line of a COPY. */
  get context(): string | null {
    return this.#field('W');
  }
  /** The schema of the object concerned. */
  get schemaName(): string | null {
    return this.#field('s');
  }
  /** The table concerned. */
  get tableName(): string | null {
    return this.#field('t');
  }
  /** The column concerned. */
  get columnName(): string | null {
    return this.#field('c');
  }
  /** The data type concerned. */
  get datatypeName(): string | null {
    return this.#field('d');
  }
  /** The constraint that was violated. */
  get constraintName(): string | null {
    return this.#field('n');
  }
  /** The file of the server's source code that reported it. */
  get sourceFile(): string | null {
    return this.#field('F');
  }
  /** The line of the server's source code that reported it. */
  get sourceLine(): string | null {
    return this.#field('L');
  }
  /** The function of the server's source code that reported it. */
  get sourceFunction(): string | null {
    return this.#field('R');
  }

  #field(letter: string): string | null {
    return this.#fields.get(letter) ?? null;
  }
}
