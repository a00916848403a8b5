import { inferredParams, pgTypes, type AdaptersMap, type AsyncConnection } from '../../index.js';

/** Drizzle's columns read these themselves, from the server's text. */
const TEXTS = ['timestamp', 'timestamptz', 'date', 'interval'];
/** Of these, its driver for node-postgres gives the text of the arrays, too. */
const TEXT_ARRAYS = [...TEXTS, 'numeric'].map((type) => `${type}[]`);

const made = new WeakMap<object, AdaptersMap>();

/** The conversions that Drizzle's columns are written for: made once for a session, of what its connection has registered by then. */
export function conversionsOf(connection: AsyncConnection<unknown>): AdaptersMap {
  const { session } = connection.info;
  let adapters = made.get(session);
  if (adapters === undefined) {
    adapters = pgTypes(inferredParams(connection));
    for (const type of [...TEXTS, ...TEXT_ARRAYS]) adapters.registerLoader(type, (text) => text);
    made.set(session, adapters);
  }
  return adapters;
}
