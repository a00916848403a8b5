import type { EventEmitter } from 'node:events';
import { errors } from '../../index.js';
import type { ClientConfig } from './config.js';
import { TypeOverrides } from './type-parsers.js';

type Listener = (...args: unknown[]) => void;

/** What belongs to a session rather than to one of the client objects that use it in turn. */
export class SessionState {
  /** The parsers set on a client. */
  readonly types: TypeOverrides;
  /** The last client of the session that was released; a client that is acquired may be garbage-collected. */
  client: EventEmitter | null = null;
  /** Whether it has had no client yet that anybody could see. */
  isNew = true;
  /** When the session began, in milliseconds of `performance.now()`. */
  readonly since = performance.now();
  /** Whether a checkout has the session. */
  isAcquired = false;
  /** Why the connection was lost; null: it was not. */
  loss: unknown = null;
  readonly #statements = new Map<string, string>();
  #properties: Record<string, unknown> = {};
  #listeners: readonly (readonly [string | symbol, Listener])[] = [];

  /** Whether statements without a name are prepared when they are repeated. */
  readonly preparesUnnamed: boolean;

  constructor({ types, prepareThreshold }: ClientConfig) {
    this.preparesUnnamed = prepareThreshold != null;
    this.types = new TypeOverrides(types);
  }

  /**
   * The text of a named statement: `text`, which belongs to the name from then on, or the one that belongs to it. Raises
   * `ProgrammingError` if the name is known for another text, or without any.
   */
  textOf(name: string, text: string | undefined): string {
    const known = this.#statements.get(name);
    if (known !== undefined && text === '') return known;
    if (text === undefined) {
      if (known !== undefined) return known;
      throw new errors.ProgrammingError(
        `the statement '${name}' has no text: give it with the first query of that name on a connection`,
      );
    }
    if (known !== undefined && known !== text) {
      throw new errors.ProgrammingError(
        `Prepared statements must be unique - '${name}' was used for a different statement`,
      );
    }
    return text;
  }

  /** A named statement was executed. */
  remember(name: string, text: string): void {
    this.#statements.set(name, text);
  }

  /** Keeps the properties and listeners that were added to a client since it was made, for all later clients of the session. */
  keep(client: EventEmitter, since: ReadonlySet<string>): void {
    const added = Object.entries(client).filter(([name]) => !since.has(name));
    this.#properties = { ...this.#properties, ...Object.fromEntries(added) };
    this.#listeners = client
      .eventNames()
      .flatMap((event) =>
        client.rawListeners(event).map((listener) => [event, listener as Listener] as const),
      );
  }

  /** Whether listeners were kept, which hear the session only through a client. */
  get hasListeners(): boolean {
    return this.#listeners.length > 0;
  }

  /** Gives a client what was kept. */
  giveTo(client: EventEmitter): void {
    Object.assign(client, this.#properties);
    for (const [event, listener] of this.#listeners) client.on(event, listener);
  }
}
