/**
 * How many statements a session has on their way to the server and not answered, at most. Each has a Sync of its own, so the server sends
 * its answer at once: where statements are sent while answers come in, the client reads a few bytes at a time.
 */
export const MOST_STATEMENTS = 4096;
/** The same for a pipeline, whose answers come in large pieces: the server answers one half while the client sends the other. */
export const MOST_PIPELINED = 1024;
/** How many bytes of statements are on their way and not answered, at most. */
export const MOST_BYTES = 2 ** 20;
/** How many entries may wait in the queue of a session before those who go on filling it have to wait. */
export const MOST_WAITING = 1000;

/** Bytes of rows that a stream hands on at a time, and unread bytes at which the server is held up. */
export const BATCH_BYTES = 2 ** 18;
export const MOST_UNREAD_BYTES = 2 * BATCH_BYTES;

/** The longest waits of a session, in seconds. */
export interface TimeLimits {
  /** From a request to cancel to its answer, and to that of its statement; then the session is given up. */
  readonly cancel: number;
  /** From a cancel request to the first sign that the network works; after that the caller is told at once. */
  readonly signOfLife: number;
  /** Between two requests to cancel the same statement; each time twice as long. */
  readonly cancelAgain: number;
  /** For the batch under way when a stream is left, if a cancel request would fail only the statement itself. */
  readonly batch: number;
  /** The same within a transaction, which a cancel request would fail. */
  readonly batchInTransaction: number;
  /** From a failed write until the server's earlier messages have been read. */
  readonly lastWords: number;
  /** From the Terminate message until the server closes the connection. */
  readonly goodbye: number;
}

/** The longest round trip that counts as distance, in seconds; a longer one is a busy server. */
const LONGEST_ROUND_TRIP = 0.5;

/** The limits of a session whose messages take `roundTrip` seconds to be answered. */
export function limitsFor(roundTrip: number): TimeLimits {
  const trip = Math.min(roundTrip, LONGEST_ROUND_TRIP);
  return {
    cancel: Math.round(5 + 10 * trip),
    // A request takes one trip to connect, up to two for TLS, and one to be delivered and acknowledged.
    signOfLife: 0.08 + 6 * trip,
    cancelAgain: 0.1 + 2 * trip,
    batch: 0.08 + 2 * trip,
    batchInTransaction: 2 + 2 * trip,
    lastWords: 0.2,
    goodbye: 2 + 2 * trip,
  };
}
