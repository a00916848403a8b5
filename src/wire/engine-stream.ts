import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

const QUERY = 0x51;
/** A Query with an empty text is as long as this, its type included. */
const EMPTY_QUERY_LENGTH = 6;
/** EmptyQueryResponse, and ReadyForQuery outside of a transaction. */
const ANSWER_TO_EMPTY_QUERY = Buffer.from([0x49, 0, 0, 0, 4, 0x5a, 0, 0, 0, 5, 0x49]);

/**
 * The stream that postgres.js talks through in place of a socket. What it writes goes to the real socket, which belongs to
 * the session; it reads only what the session chooses to show it.
 */
export class EngineStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #onQueriesWritten: (count: number) => void;
  #closed = false;
  /** Whether the empty query that postgres.js begins with has been answered. */
  #begun = false;

  /** `onQueriesWritten` hears how many simple queries each write carried. */
  constructor(socket: Socket, onQueriesWritten: (count: number) => void) {
    super();
    this.#socket = socket;
    this.#onQueriesWritten = onQueriesWritten;
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
    const sent = this.#begun || bytes[0] !== QUERY ? bytes : this.#withoutEmptyQuery(bytes);
    if (sent.length === 0) return true;
    // The session answers a written BEGIN with the statement that follows it: both belong in one packet.
    this.#socket.cork();
    this.#socket.write(sent);
    const queries = countQueries(sent);
    if (queries > 0) this.#onQueriesWritten(queries);
    this.#socket.uncork();
    return true;
  }

  /** Answers the empty query that comes first: nobody wants to know what the server would say to it. */
  #withoutEmptyQuery(bytes: Buffer): Buffer {
    this.#begun = true;
    // Not within the call that writes it, since postgres.js is at work on its own state.
    process.nextTick(() => {
      this.show(ANSWER_TO_EMPTY_QUERY);
    });
    return bytes.subarray(EMPTY_QUERY_LENGTH);
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
