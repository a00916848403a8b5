import type { Notify } from '../connection/notifies.js';
import * as errors from '../errors/index.js';
import { quoteIdentifier } from '../query/identifier.js';
import { onAbort, pause, waitFor } from '../waiting.js';

/** The part of a connection that a listener uses. */
export interface ListenerConnection extends AsyncDisposable {
  readonly closed: boolean;
  setAutocommit(value: boolean): Promise<void>;
  execute(query: string): Promise<unknown>;
  notifies(options: { signal: AbortSignal }): AsyncGenerator<Notify>;
  close(): Promise<void>;
}

/** How to listen on a connection, and the callbacks for what happens there. */
export interface ListeningOptions {
  /** Every so many seconds the connection has to answer, within as many again. */
  readonly keepalive: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** It listens: what is notified from here on is told. */
  listening(): void;
  /** The connection was known to work at this time. */
  alive(at: Date): void;
  notified(notify: Notify): void;
}

/**
 * Listens on a connection of a pool until `signal` is aborted, or the connection is lost or silent: then it rejects. Gives the
 * connection back, listening no more.
 */
export async function listenOn(
  connection: ListenerConnection,
  channels: readonly string[],
  options: ListeningOptions,
): Promise<void> {
  const { keepalive, signal } = options;
  /** Executes a statement, whose answer has to come in time. */
  const answered = (statement: string): Promise<unknown> =>
    waitFor(connection.execute(statement), {
      seconds: keepalive,
      late: () => {
        throw new errors.OperationalError(
          `the listener's connection has not answered within ${String(keepalive)} seconds`,
        );
      },
    });
  // One statement for all, so that they begin and end at the same time.
  const forEach = (verb: 'LISTEN' | 'UNLISTEN'): Promise<unknown> =>
    answered(channels.map((channel) => `${verb} ${quoteIdentifier(channel)}`).join('; '));

  const over = new AbortController();
  const off = onAbort(signal, () => {
    over.abort(signal.reason);
  });
  let isSilent = false;
  const keepAsking = async (): Promise<void> => {
    try {
      for (;;) {
        await pause(keepalive, { signal: over.signal });
        const asked = new Date();
        await answered('');
        options.alive(asked);
      }
    } catch (error) {
      isSilent = !over.signal.aborted;
      over.abort(error);
    }
  };
  try {
    await connection.setAutocommit(true);
    const begun = new Date();
    await forEach('LISTEN');
    options.alive(begun);
    options.listening();
    void keepAsking();
    for await (const notify of connection.notifies({ signal: over.signal })) {
      // An earlier user of the connection may have left it listening to other channels.
      if (channels.includes(notify.channel)) options.notified(notify);
    }
  } finally {
    over.abort();
    off();
    if (!isSilent && !connection.closed) {
      // Listening or not, a connection that fails here must not be lent out again.
      await forEach('UNLISTEN').catch(() => connection.close());
    }
    const returned = connection[Symbol.asyncDispose]();
    // The session gives up a connection that does not answer; its return need not be awaited.
    if (!isSilent) await returned;
  }
}
