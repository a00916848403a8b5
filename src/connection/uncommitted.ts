import { channels, type UncommittedMessage } from '../diagnostics.js';
import type { ConnectionCore } from './connection-core.js';

/** Connections without a pool share one warning, as those of a pool do. */
let warned = false;

/** Tells of a connection without a pool that was closed with writes that nobody had committed. */
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
