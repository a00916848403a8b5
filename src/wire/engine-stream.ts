import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

const QUERY = 0x51;
/** A Query with an empty text is as long as this, its type included. */
const EMPTY_QUERY_LENGTH = 6;
/** EmptyQueryResponse, and ReadyForQuery outside of a transaction. */
const ANSWER_TO_EMPTY_QUERY = Buffer.from([0x49, 0, 0, 0, 4, 0x5a, 0, 0, 0, 5, 0x49]);
/** AuthenticationOk, and ReadyForQuery outside of a transaction. */
const ANSWER_TO_STARTUP = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

/** Who hears of what postgres.js does. */
export interface EngineEvents {
  /** The empty query that makes it connect has been answered: it has started up. */
  readonly onBegun: () => void;
  /** So many simple queries have been written to the socket. */
  readonly onQueriesWritten: (count: number) => void;
}

/**
 * The stream that postgres.js talks through in place of a socket. What it writes goes to the real socket, which belongs to
 * the session; it reads only what the session chooses to show it.
 */
export class EngineStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #events: EngineEvents;
  #closed = false;
  /** Whether the server has signed the session in already: then the startup is answered here. */
  readonly #isSignedIn: boolean;
  /** Whether the empty query that postgres.js begins with has been answered. */
  #begun: boolean;

  constructor(socket: Socket, isSignedIn: boolean, events: EngineEvents) {
    super();
    this.#socket = socket;
    this.#isSignedIn = isSignedIn;
    this.#begun = isSignedIn;
    this.#events = events;
  }

  /** postgres.js asks this before it says goodbye, which is the session's business: it finds nothing to say it to. */
  get readyState(): string {
    return 'closed';
  }

  /**
   * Always takes the bytes: were postgres.js told to wait for 'drain', it would reorder its connection's queues, and
   * the session bounds what is in flight itself.
   */
  write(bytes: Buffer): boolean {
    if (this.#closed) return true;
    if (this.#isSignedIn && bytes[0] === 0) {
      this.#answer(ANSWER_TO_STARTUP, () => undefined);
      return true;
    }
    const sent = this.#begun || bytes[0] !== QUERY ? bytes : this.#withoutEmptyQuery(bytes);
    if (sent.length === 0) return true;
    // The session answers a written BEGIN with the statement that follows it: both belong in one packet.
    this.#socket.cork();
    this.#socket.write(sent);
    const queries = countQueries(sent);
    if (queries > 0) this.#events.onQueriesWritten(queries);
    this.#socket.uncork();
    return true;
  }

  /** Answers the empty query that comes first: nobody wants to know what the server would say to it. */
  #withoutEmptyQuery(bytes: Buffer): Buffer {
    this.#begun = true;
    this.#answer(ANSWER_TO_EMPTY_QUERY, this.#events.onBegun);
    return bytes.subarray(EMPTY_QUERY_LENGTH);
  }

  /** Answers what the server is not to be asked. Not within the call that asks, since postgres.js is at work on its own state. */
  #answer(messages: Buffer, then: () => void): void {
    process.nextTick(() => {
      this.show(messages);
      then();
    });
  }

  /** Shows postgres.js one or more whole backend messages. */
  show(messages: Buffer): void {
    if (!this.#closed) this.emit('data', messages);
  }

  /** Tells postgres.js that its connection is gone, upon which it rejects all it has and is never used again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit('close', false);
  }

  // postgres.js calls these on a socket; there is nothing to do, since the session owns the real one.
  end(): this {
    return this;
  }
  destroy(): this {
    return this;
  }
}

/** The simple queries in a run of frontend messages; the startup message has no type byte and holds none. */
function countQueries(bytes: Buffer): number {
  if (bytes[0] === 0) return 0;
  let count = 0;
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === QUERY) count++;
  }
  return count;
}
