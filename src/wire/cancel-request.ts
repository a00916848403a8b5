import type { BackendKey } from './backend-messages.js';
import { waitFor } from '../waiting.js';
import { openSocket, type ServerAddress } from './socket.js';

const CANCEL_REQUEST_CODE = 80877102;

/**
 * Asks the server, over a separate connection to the same address, to cancel the backend's current statement. Resolves once the
 * server has closed that connection, which it does after sending the signal. Rejects if the server cannot be reached before
 * `signal` is aborted.
 */
export async function sendCancelRequest(
  address: ServerAddress,
  key: BackendKey,
  signal: AbortSignal,
): Promise<void> {
  const socket = await openSocket(address, signal, () => undefined);
  const closed = new Promise<void>((resolve) => {
    // A reset in place of an orderly close also means that the server has handled the request.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      resolve();
    });
  });
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  message.writeUInt32BE(key.pid, 8);
  message.writeUInt32BE(key.secret, 12);
  socket.write(message);
  await waitFor(closed, { signal, ended: () => socket.destroy() });
}
