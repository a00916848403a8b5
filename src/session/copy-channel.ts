/** The server's description of a COPY at its start. */
export interface CopyFormat {
  readonly direction: 'in' | 'out';
  /** Whether the data is in the binary format; otherwise it is text or CSV. */
  readonly binary: boolean;
  /** The number of columns of a row. */
  readonly columns: number;
}

/**
 * A running COPY as its user sees it; to the session it is an `Exchange`. It has exclusive use of the session until `finish()`,
 * `abort()`, the end of the data or an error.
 */
export interface CopyChannel extends CopyFormat {
  /** The tag, such as `COPY 3`, once the COPY has been completed. */
  readonly tag: string | null;
  /** Whether the COPY has ended, with success or without; nothing more can be written or read. */
  readonly ended: boolean;
  /** Whether the client ended the COPY early: by a call, or because its scope or block was left. */
  readonly abandoned: boolean;

  /**
   * COPY IN: sends a piece of data, which may be split anywhere. Returns null if the network has taken it and more may be written
   * at once; otherwise a promise for that moment, until which the bytes must not change. Throws or rejects with the server's
   * error once the server has ended the COPY.
   */
  write(data: Uint8Array): Promise<void> | null;
  /** COPY IN: ends the data. Resolves with the tag once the server has taken all data; rejects with the server's error. */
  finish(): Promise<string>;

  /**
   * COPY OUT: the next piece of data, which consists of whole rows; null at the end. The reader owns the buffer. Rejects with the
   * server's error. The server pauses while much data is unread.
   */
  read(): Promise<Buffer | null>;

  /** Calls `tell` with the COPY's error as soon as it is known, even while no call is writing or reading. */
  onFailure(tell: (error: unknown) => void): void;

  /**
   * Ends the COPY early: a COPY IN fails on the server with `reason`, a COPY OUT is cancelled. Resolves when the connection is
   * usable again, or has been discarded. Does nothing if the COPY has ended.
   */
  abort(reason: string): Promise<void>;
}
