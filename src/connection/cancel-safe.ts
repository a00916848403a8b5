import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';
import { waitFor } from '../waiting.js';

const DEFAULT_TIMEOUT = 30;

/** Cancels the running statement. Raises `CancellationTimeout` if the request is not finished within `timeout` seconds. */
export async function cancelWithin(
  session: Session,
  timeout: number = DEFAULT_TIMEOUT,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  await waitFor(session.cancelRunning(), {
    seconds: timeout,
    late: () => {
      throw new errors.CancellationTimeout(
        `the cancel request was not answered within ${String(timeout)} seconds; the statement may go on`,
      );
    },
    signal,
  });
}
