/** What the server says of a COPY as it begins. */
export interface CopyFormat {
  readonly direction: 'in' | 'out';
  /** Whether the data is in the binary format, rather than in text or CSV. */
  readonly binary: boolean;
  /** How many columns a row has. */
  readonly columns: number;
}

/**
 * A COPY under way, as its user sees it; the session sees an `Exchange`. It has the session to itself: `finish()`, `abort()`, reading to
 * the end or an error ends it.
 */
export interface CopyChannel extends CopyFormat {
  /** The tag, such as `COPY 3`, once the COPY has been completed. */
  readonly tag: string | null;
  /** Whether the COPY has ended, with success or without: nothing more can be written or read. */
  readonly ended: boolean;
  /** Whether the client ended the COPY early: its user did, or the scope or block that it belongs to was left. */
  readonly abandoned: boolean;

  /**
   * COPY IN: sends a piece of data, cut anywhere. Null if the network has taken it and more may be written at once, else a promise
   * for that moment; until then the bytes must stay as they are. Throws, or rejects with, the server's error as soon as the
   * server has ended the COPY.
   */
  write(data: Uint8Array): Promise<void> | null;
  /** COPY IN: ends the data. Resolves with the tag when the server has taken it all; rejects with the server's error. */
  finish(): Promise<string>;

  /**
   * COPY OUT: the next piece of data, which is whole rows; null at the end. The reader owns the buffer. Rejects with the server's
   * error. Unread data holds up the server.
   */
  read(): Promise<Buffer | null>;

  /** Calls `tell` with the COPY's error as soon as it is known, also while no call is writing or reading. */
  onFailure(tell: (error: unknown) => void): void;

  /**
   * Ends it before its time: a COPY IN fails on the server with `reason`, a COPY OUT is cancelled. Resolves when the connection
   * can be used again, or has been given up. Does nothing if it has ended.
   */
  abort(reason: string): Promise<void>;
}
