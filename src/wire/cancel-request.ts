import type { BackendKey } from './backend-messages.js';
import { waitFor } from '../waiting.js';
import { openSocket, type ServerAddress } from './socket.js';

const CANCEL_REQUEST_CODE = 80877102;

/**
 * Asks the server, over a connection of its own to the same address, to cancel what the backend is running. Resolves when
 * the server has closed that connection, which is after it has sent the signal. Rejects if the server can't be reached
 * before `signal` is aborted.
 */
export async function sendCancelRequest(
  address: ServerAddress,
  key: BackendKey,
  signal: AbortSignal,
): Promise<void> {
  const socket = await openSocket(address, signal, () => undefined);
  const closed = new Promise<void>((resolve) => {
    // A reset instead of an orderly close also means that the server is done with the request.
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
