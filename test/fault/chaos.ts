import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncConnectionPool, conninfoToDict, makeConninfo } from '../../src/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { Random } from '../support/random.js';
import type { OwnServer } from '../support/server.js';
import { Bank, query, Teller } from './bank.js';
import { describeFaults, Faults } from './faults.js';

export interface ChaosOptions {
  readonly server: OwnServer;
  /** The run's duration; `LONGEST_DELAY` more at most until there is an acknowledged transfer for each second. */
  readonly seconds: number;
  readonly seed: number;
}

/** The result of a run. `violations` must be empty. */
export interface ChaosReport {
  readonly acknowledged: number;
  readonly violations: readonly string[];
  readonly summary: string;
}

const WORKERS = 8;
const MOST_CONNECTIONS = 6;
/** Mean seconds between two faults. */
const PAUSE = 0.12;
/** Seconds that a run lasts longer on a machine that is too slow for a transfer a second. */
const LONGEST_DELAY = 60;
/** Seconds that a run may take beyond its duration until all tasks have ended. */
const PATIENCE = 30;

/**
 * Tasks transfer money between accounts through a pool, while backends are killed, the network fails and the server crashes. At
 * the end, every acknowledged transfer must be present once, no failed transfer may be, and no money may be lost.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { server, seconds, seed } = options;
  const { host, port } = conninfoToDict(server.dsn);
  await using proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  const applicationName = `usingpg chaos ${String(seed)}`;
  const bank = await Bank.open(server.dsn);
  const pool = new AsyncConnectionPool(
    makeConninfo(server.dsn, {
      host: '127.0.0.1',
      port: proxy.port,
      application_name: applicationName,
      connect_timeout: 2,
    }),
    { name: applicationName, minSize: 2, maxSize: MOST_CONNECTIONS, timeout: 3 },
  );
  using teller = new Teller(bank, pool, new Random(seed + 1));
  const deadline = Date.now() + seconds * 1000;
  const isOver = (): boolean => {
    const late = Date.now() - deadline;
    return late >= 0 && (bank.count('acknowledged') > seconds || late >= LONGEST_DELAY * 1000);
  };
  const faults = new Faults({ server, proxy, applicationName }, new Random(seed), PAUSE);
  try {
    const ended = await Promise.race([
      Promise.all(Array.from({ length: WORKERS }, () => teller.work(isOver))).then(() => true),
      sleep((seconds + LONGEST_DELAY + PATIENCE) * 1000, false, { ref: false }),
    ]);
    if (!ended) bank.violations.push('not every task has ended: something hangs');
    await faults.stop();
    await teller.checkPoolAtRest();
  } finally {
    await faults.stop();
    await pool.close();
  }
  await checkNoBackends(server, applicationName, bank.violations);
  const { unknownCommitted } = await bank.settle(server.dsn);
  return {
    acknowledged: bank.count('acknowledged'),
    violations: bank.violations,
    summary: `${bank.summary(unknownCommitted)}; seed ${String(seed)}; ${describeFaults(faults)}`,
  };
}

async function checkNoBackends(
  { dsn }: OwnServer,
  applicationName: string,
  violations: string[],
): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const left = await query(dsn, 'SELECT pid FROM pg_stat_activity WHERE application_name = $1', [
      applicationName,
    ]);
    if (left.length === 0) return;
    if (Date.now() > deadline) {
      violations.push(`${String(left.length)} backends were left behind`);
      return;
    }
    await sleep(50);
  }
}
