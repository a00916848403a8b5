import type { AdaptersMap } from '../types/adapters-map.js';
import type { ConnectionCore } from '../connection/connection-core.js';
import { AsyncCopy } from '../copy/copy.js';
import { copyOptions, firstOfSeveral } from '../copy/statement-options.js';
import * as errors from '../errors/index.js';
import type { BoundQuery } from '../query/binding.js';
import { shownText, type StatementRequest } from '../session/statement.js';

/** The callbacks of a COPY to its cursor. */
export interface CopyListener {
  begun(copy: AsyncCopy, columns: number): void;
  /** Called with the tag, or null if the COPY was not completed. */
  ended(copy: AsyncCopy, direction: 'in' | 'out', tag: string | null): void;
}

/** A COPY before its start. Of several statements only the first is sent; the end of the COPY reports that there are more. */
export class CopyStatement {
  readonly request: StatementRequest;
  readonly #core: ConnectionCore;
  readonly #text: string;
  readonly #alone: boolean;

  /** Raises `ProgrammingError` for several statements in autocommit. */
  constructor(core: ConnectionCore, bound: BoundQuery, signal: AbortSignal | undefined) {
    const { text, shown } = bound;
    const first = firstOfSeveral(text, hasBackslashes(core));
    if (first !== null && core.settings.autocommit) {
      // In autocommit, the data would be stored before the end of the COPY reports the mistake.
      throw new errors.ProgrammingError("COPY can't be mixed with other statements", {
        query: shownText(bound),
      });
    }
    this.#core = core;
    this.#text = text;
    this.#alone = first === null;
    this.request = core.request({ text: first ?? text, executions: null, rows: null, shown, signal });
  }

  async begin(adapters: AdaptersMap, listener: CopyListener): Promise<AsyncCopy> {
    const core = this.#core;
    const channel = await core.copy(this.request);
    const { direction, columns } = channel;
    const copy: AsyncCopy = new AsyncCopy({
      channel,
      adapters,
      query: shownText(this.request),
      options: copyOptions(this.#text, hasBackslashes(core)),
      foreignEncoding: core.session.foreignEncoding,
      alone: this.#alone,
      signal: this.request.signal,
      check: () => {
        core.check();
      },
      isConnectionLeft: () => core.returned || (core.session.closed && !core.session.broken),
      onConnectionEnd: (listener) => core.onEnd(listener),
      onEnd: (tag) => {
        core.copied(direction, tag);
        listener.ended(copy, direction, tag);
      },
    });
    listener.begun(copy, columns);
    return copy;
  }
}

/** Whether backslashes escape in strings without an E (standard_conforming_strings is off). */
function hasBackslashes(core: ConnectionCore): boolean {
  return core.session.parameters.get('standard_conforming_strings') === 'off';
}
