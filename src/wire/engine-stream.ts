import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

const QUERY = 0x51;
/** Length of a Query message with an empty text, including its type byte. */
const EMPTY_QUERY_LENGTH = 6;
/** EmptyQueryResponse, then ReadyForQuery outside of a transaction. */
const ANSWER_TO_EMPTY_QUERY = Buffer.from([0x49, 0, 0, 0, 4, 0x5a, 0, 0, 0, 5, 0x49]);
/** AuthenticationOk, then ReadyForQuery outside of a transaction. */
const ANSWER_TO_STARTUP = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

/** Events of postgres.js that the session needs. */
export interface EngineEvents {
  /** postgres.js has started up: the empty query that makes it connect has been answered. */
  readonly onBegun: () => void;
  /** This number of simple queries was written to the socket. */
  readonly onQueriesWritten: (count: number) => void;
}

/**
 * The stream that postgres.js uses in place of a socket. Its writes go to the real socket, which belongs to the session. It reads
 * only the messages that the session forwards.
 */
export class EngineStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #events: EngineEvents;
  #closed = false;
  /** Whether the session has signed in already; this stream then answers the startup message itself. */
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

  /** postgres.js reads this before it sends Terminate. 'closed' prevents that, since the session sends Terminate itself. */
  get readyState(): string {
    return 'closed';
  }

  /**
   * Accepts the bytes unconditionally: postgres.js reorders its connection's queues if it has to wait for 'drain'. The session
   * bounds the bytes in flight itself.
   */
  write(bytes: Buffer): boolean {
    if (this.#closed) return true;
    if (this.#isSignedIn && bytes[0] === 0) {
      this.#answer(ANSWER_TO_STARTUP, () => undefined);
      return true;
    }
    const sent = this.#begun || bytes[0] !== QUERY ? bytes : this.#withoutEmptyQuery(bytes);
    if (sent.length === 0) return true;
    // onQueriesWritten() lets the session send the statement that follows a written BEGIN; corking puts both into one packet.
    this.#socket.cork();
    this.#socket.write(sent);
    const queries = countQueries(sent);
    if (queries > 0) this.#events.onQueriesWritten(queries);
    this.#socket.uncork();
    return true;
  }

  /** Removes the initial empty query and answers it locally, which saves a round trip. */
  #withoutEmptyQuery(bytes: Buffer): Buffer {
    this.#begun = true;
    this.#answer(ANSWER_TO_EMPTY_QUERY, this.#events.onBegun);
    return bytes.subarray(EMPTY_QUERY_LENGTH);
  }

  /** Delivers a local answer in a later tick, since postgres.js is still changing its own state during write(). */
  #answer(messages: Buffer, then: () => void): void {
    process.nextTick(() => {
      this.show(messages);
      then();
    });
  }

  /** Forwards one or more complete backend messages to postgres.js. */
  show(messages: Buffer): void {
    if (!this.#closed) this.emit('data', messages);
  }

  /** Reports the connection as lost, upon which postgres.js rejects its pending queries. The instance is not used afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.emit('close', false);
  }

  // postgres.js calls these on its socket. They do nothing, since the session owns the real one.
  end(): this {
    return this;
  }
  destroy(): this {
    return this;
  }
}

/** Counts the simple queries in a run of frontend messages. The startup message has no type byte and contains none. */
function countQueries(bytes: Buffer): number {
  if (bytes[0] === 0) return 0;
  let count = 0;
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    if (bytes[at] === QUERY) count++;
  }
  return count;
}
