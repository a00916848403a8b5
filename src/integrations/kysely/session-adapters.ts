import { inferredParams, pgTypes, type AdaptersMap, type AsyncConnection } from '../../index.js';

/** The conversions of a dialect's queries: made once for a session, of what its connection has registered by then. */
export class SessionAdapters {
  readonly #likePg: boolean;
  readonly #made = new WeakMap<object, AdaptersMap>();

  constructor(likePg: boolean) {
    this.#likePg = likePg;
  }

  of(connection: AsyncConnection<unknown>): AdaptersMap {
    const { session } = connection.info;
    let adapters = this.#made.get(session);
    if (adapters === undefined) {
      adapters = inferredParams(connection);
      if (this.#likePg) adapters = pgTypes(adapters);
      this.#made.set(session, adapters);
    }
    return adapters;
  }
}
