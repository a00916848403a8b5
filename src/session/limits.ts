/**
 * The maximum number of statements in flight. Each has a Sync of its own, so the server sends its answer at once. If the client
 * sends statements while answers arrive, it reads only a few bytes at a time.
 */
export const MOST_STATEMENTS = 4096;
/**
 * The maximum in a pipeline, whose answers arrive in large pieces: the server answers one half while the client sends the other.
 */
export const MOST_PIPELINED = 1024;
/** The maximum size of the statements in flight, in bytes. */
export const MOST_BYTES = 2 ** 20;
/** The number of entries in a session's queue from which callers that add more have to wait. */
export const MOST_WAITING = 1000;

/** Bytes of rows that a stream passes on at a time, and the unread bytes at which the server pauses. */
export const BATCH_BYTES = 2 ** 18;
export const MOST_UNREAD_BYTES = 2 * BATCH_BYTES;

/** The longest waits of a session, in seconds. */
export interface TimeLimits {
  /**
   * From a message that ends something to its answer: a cancel request and the statement that it is meant for, or a ROLLBACK that the
   * library decided on. The session is discarded afterwards.
   */
  readonly ending: number;
  /** From a cancel request to the first sign that the network works; without one, the caller stops waiting. */
  readonly signOfLife: number;
  /** Between two requests to cancel the same statement; doubled each time. */
  readonly cancelAgain: number;
  /** For the current batch when a stream is left, if a cancel request would end only the statement itself. */
  readonly batch: number;
  /** The same within a transaction, which a cancel request would abort. */
  readonly batchInTransaction: number;
  /** From a failed write until the server's earlier messages have been read. */
  readonly lastWords: number;
  /** From the Terminate message until the server closes the connection. */
  readonly goodbye: number;
}

/** The longest round trip that counts as network distance, in seconds; a longer one indicates a busy server. */
const LONGEST_ROUND_TRIP = 0.5;

/** The limits of a session whose messages are answered after `roundTrip` seconds. */
export function limitsFor(roundTrip: number): TimeLimits {
  const trip = Math.min(roundTrip, LONGEST_ROUND_TRIP);
  return {
    ending: Math.round(5 + 10 * trip),
    // A request takes one trip to connect, up to two for TLS, and one to be delivered and acknowledged.
    signOfLife: 0.08 + 6 * trip,
    cancelAgain: 0.1 + 2 * trip,
    batch: 0.08 + 2 * trip,
    batchInTransaction: 2 + 2 * trip,
    lastWords: 0.2,
    goodbye: 2 + 2 * trip,
  };
}
