import { channels, type UncommittedMessage } from '../diagnostics.js';
import type { ConnectionCore } from './connection-core.js';

/** All connections without a pool share one warning, as the connections of a pool do. */
let warned = false;

/** Reports a connection without a pool that was closed with uncommitted writes. */
export function reportUncommitted({ session }: ConnectionCore): void {
  const message: UncommittedMessage = { pool: null, backendPid: session.backendPid };
  channels.uncommitted.publish(message);
  if (warned) return;
  warned = true;
  process.emitWarning(
    `a connection (backend ${String(session.backendPid)}) was closed with writes that were not committed; they were rolled back.` +
      ' Leaving a scope never commits: await conn.commit() first, or use AsyncConnection.withConnection()',
    { code: 'USINGPG_UNCOMMITTED' },
  );
}
