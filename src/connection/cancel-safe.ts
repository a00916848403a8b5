import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';

const DEFAULT_TIMEOUT = 30;

/** Cancels what runs. Raises `CancellationTimeout` if the request has not been dealt with within `timeout` seconds. */
export async function cancelWithin(
  session: Session,
  timeout: number = DEFAULT_TIMEOUT,
  signal?: AbortSignal,
): Promise<void> {
  if (!(typeof timeout === 'number' && timeout >= 0)) {
    throw new errors.ProgrammingError(
      `expected the \`timeout\` of cancelSafe() to be a number of seconds, 0 or more, got ${String(timeout)}`,
    );
  }
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    if (timeout > LONGEST_TIMER) return;
    timer = setTimeout(() => {
      reject(
        new errors.CancellationTimeout(
          `the cancel request was not answered within ${String(timeout)} seconds; the statement may go on`,
        ),
      );
    }, timeout * 1000);
  });
  try {
    await Promise.race([session.cancelRunning(), late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Seconds that Node's timers can count. */
const LONGEST_TIMER = 2_147_483;
