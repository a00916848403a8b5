import type { CursorFactory, ServerCursorFactory } from '../cursor/options.js';
import { checkKind, FUNCTION } from '../options/kinds.js';
import type { RowFactory } from '../rows.js';

/** What a connection makes its cursors and their rows with. @internal */
export interface FactoryParts<R> {
  readonly rowFactory: RowFactory<R>;
  readonly cursorFactory: CursorFactory;
  readonly serverCursorFactory: ServerCursorFactory;
}

/** The properties of a connection with which it makes cursors. Setting one raises `ProgrammingError` unless it is a function. */
export abstract class CursorFactories<R> {
  #rowFactory: RowFactory<R>;
  #cursorFactory: CursorFactory;
  #serverCursorFactory: ServerCursorFactory;

  /** @internal */
  constructor(parts: FactoryParts<R>) {
    this.#rowFactory = parts.rowFactory;
    this.#cursorFactory = parts.cursorFactory;
    this.#serverCursorFactory = parts.serverCursorFactory;
  }

  /** The row factory of cursors without one of their own (Psycopg: `row_factory`). */
  get rowFactory(): RowFactory<R> {
    return this.#rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    checkKind('rowFactory', factory, FUNCTION);
    this.#rowFactory = factory;
  }

  /** The class of the cursors (Psycopg: `cursor_factory`). */
  get cursorFactory(): CursorFactory {
    return this.#cursorFactory;
  }
  set cursorFactory(factory: CursorFactory) {
    checkKind('cursorFactory', factory, FUNCTION);
    this.#cursorFactory = factory;
  }

  /** The class of named cursors (Psycopg: `server_cursor_factory`). */
  get serverCursorFactory(): ServerCursorFactory {
    return this.#serverCursorFactory;
  }
  set serverCursorFactory(factory: ServerCursorFactory) {
    checkKind('serverCursorFactory', factory, FUNCTION);
    this.#serverCursorFactory = factory;
  }
}
