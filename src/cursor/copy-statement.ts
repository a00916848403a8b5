import type { AdaptersMap } from '../types/adapters-map.js';
import type { ConnectionCore } from '../connection/connection-core.js';
import { AsyncCopy } from '../copy/copy.js';
import { firstOfSeveral } from '../copy/statement-options.js';
import * as errors from '../errors/index.js';
import type { BoundQuery } from '../query/binding.js';
import type { StatementRequest } from '../session/statement.js';

/** The callbacks of a COPY: those of the cursor that serves it. */
export interface CopyListener {
  begun(copy: AsyncCopy, columns: number): void;
  /** With its tag, or null if it has not been completed. */
  ended(copy: AsyncCopy, direction: 'in' | 'out', tag: string | null): void;
}

/** A COPY on its way to the server. Of several statements only the first is sent; the end of the COPY reports that there are more. */
export class CopyStatement {
  readonly request: StatementRequest;
  readonly #handle: ConnectionCore;
  readonly #text: string;
  readonly #alone: boolean;

  /** Raises `ProgrammingError` for several statements in autocommit. */
  constructor(handle: ConnectionCore, { text, shown }: BoundQuery, signal: AbortSignal | undefined) {
    const first = firstOfSeveral(text);
    if (first !== null && handle.settings.autocommit) {
      // The data would be stored before the end of the COPY reports the mistake.
      throw new errors.ProgrammingError("COPY can't be mixed with other statements", { query: text });
    }
    this.#handle = handle;
    this.#text = text;
    this.#alone = first === null;
    this.request = handle.request({ text: first ?? text, executions: null, rows: null, shown, signal });
  }

  async begin(adapters: AdaptersMap, listener: CopyListener): Promise<AsyncCopy> {
    const handle = this.#handle;
    const channel = await handle.copy(this.request);
    const { direction, columns } = channel;
    const copy: AsyncCopy = new AsyncCopy({
      channel,
      adapters,
      statement: this.#text,
      foreignEncoding: handle.session.foreignEncoding,
      alone: this.#alone,
      signal: this.request.signal,
      check: () => {
        handle.check();
      },
      isConnectionLeft: () => handle.returned || (handle.session.closed && !handle.session.broken),
      onConnectionEnd: (listener) => handle.onEnd(listener),
      onEnd: ({ tag }) => {
        handle.copied(direction, tag);
        listener.ended(copy, direction, tag);
      },
    });
    listener.begun(copy, columns);
    return copy;
  }
}
