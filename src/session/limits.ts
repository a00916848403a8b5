/** How many statements, and bytes of statements, a session has on their way to the server and not answered, at most. */
export const MOST_STATEMENTS = 1000;
export const MOST_BYTES = 2 ** 20;

/** How many bytes of rows a stream hands on at a time, and how many may wait to be read before the server is held up. */
export const BATCH_BYTES = 2 ** 18;
export const MOST_UNREAD_BYTES = 2 * BATCH_BYTES;

/** How long the waits of a session last at most, in seconds. */
export interface TimeLimits {
  /** From a request to cancel to its answer, and to that of its statement; then the session is given up. */
  readonly cancel: number;
  /** From a request to cancel to the first sign that its network is there; then whoever gave up is told at once. */
  readonly signOfLife: number;
  /** Between two requests to cancel the same statement; each time twice as long. */
  readonly cancelAgain: number;
  /** For the batch of rows that a stream leaves behind, if to cancel it would fail nothing but the statement itself. */
  readonly batch: number;
  /** The same within a transaction, which a cancel request would fail. */
  readonly batchInTransaction: number;
  /** From a write that has failed until what the server said before has been read. */
  readonly lastWords: number;
  /** From our goodbye until the server closes the connection. */
  readonly goodbye: number;
}

/** A round trip that takes longer is a busy server rather than a far one, in seconds. */
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
