import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { ConnectionCore, CoreStatement } from './connection-core.js';

const SAVEPOINT = 'usingpg_apart';

/**
 * Runs one statement of the library so that its failure undoes nothing else: alone if no transaction is open, else behind a
 * savepoint. It opens no block, so it may run wherever a statement may. In a failed transaction it fails like any statement.
 */
export async function runApart(
  core: ConnectionCore,
  statement: CoreStatement,
): Promise<readonly StatementResult[]> {
  const { signal } = statement;
  core.check();
  signal?.throwIfAborted();
  if (core.inPipeline) await core.pipeline.sync(signal);
  return core.session.exclusively(async (lock, status) => {
    const request = { ...core.request(statement), begin: null };
    if (core.mustBegin && status === TransactionStatus.IDLE) await core.openTransaction({ lock, signal });
    else if (status !== TransactionStatus.INTRANS) return core.run(request, lock);
    await core.command(`SAVEPOINT ${SAVEPOINT}`, { lock, signal });
    try {
      return await core.run(request, lock);
    } catch (error) {
      if (!core.session.closed)
        await core.command(`ROLLBACK TO ${SAVEPOINT}`, { lock, mustBeAnswered: true });
      throw error;
    } finally {
      if (!core.session.closed) await core.command(`RELEASE ${SAVEPOINT}`, { lock, mustBeAnswered: true });
    }
  }, signal);
}
