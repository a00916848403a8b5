import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import {
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  IsolationLevel,
  makeConninfo,
  type AsyncConnection,
} from '../../src/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { Random } from '../support/random.js';
import type { OwnServer } from '../support/server.js';
import { describeFaults, Faults } from './faults.js';

export interface ChaosOptions {
  readonly server: OwnServer;
  readonly seconds: number;
  readonly seed: number;
}

/** The result of a run. `violations` must be empty. */
export interface ChaosReport {
  readonly acknowledged: number;
  readonly failed: number;
  readonly unknown: number;
  /** The number of transfers of unknown outcome that were committed. */
  readonly unknownCommitted: number;
  readonly violations: readonly string[];
  readonly summary: string;
}

const ACCOUNTS = 12;
const BALANCE = 1000;
const WORKERS = 8;
const MOST_CONNECTIONS = 6;
/** Mean seconds between two faults. */
const PAUSE = 0.12;
/** Seconds that a run may take beyond its duration until all tasks have ended. */
const PATIENCE = 30;

type Outcome = 'acknowledged' | 'failed' | 'unknown';

interface Transfer {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
  outcome: Outcome | null;
}

/**
 * Tasks transfer money between accounts through a pool, while backends are killed, the network fails and the server crashes. At
 * the end, every acknowledged transfer must be present once, no failed transfer may be, and no money may be lost.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { server, seconds, seed } = options;
  const { host, port } = conninfoToDict(server.dsn);
  await using proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  const applicationName = `usingpg chaos ${String(seed)}`;
  await query(
    server,
    `DROP TABLE IF EXISTS ledger, account;
     CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
     CREATE TABLE ledger (id int NOT NULL, source int NOT NULL, target int NOT NULL, amount int NOT NULL);
     INSERT INTO account SELECT i, ${String(BALANCE)} FROM generate_series(0, ${String(ACCOUNTS - 1)}) i`,
  );
  const pool = new AsyncConnectionPool(
    makeConninfo(server.dsn, {
      host: '127.0.0.1',
      port: proxy.port,
      application_name: applicationName,
      connect_timeout: 2,
    }),
    { name: applicationName, minSize: 2, maxSize: MOST_CONNECTIONS, timeout: 3 },
  );
  const bank = new Bank(pool, seed, Date.now() + seconds * 1000);
  const faults = new Faults({ server, proxy, applicationName }, new Random(seed), PAUSE);
  try {
    const ended = await Promise.race([
      Promise.all(Array.from({ length: WORKERS }, () => bank.work())).then(() => true),
      sleep((seconds + PATIENCE) * 1000, false, { ref: false }),
    ]);
    if (!ended) bank.violations.push('not every task has ended: something hangs');
    await faults.stop();
    await bank.checkPoolAtRest();
  } finally {
    await faults.stop();
    await pool.close();
    bank.dispose();
  }
  await checkNoBackends(server, applicationName, bank.violations);
  return report(bank, await settle(server, bank), `seed ${String(seed)}; ${describeFaults(faults)}`);
}

/** The tasks and the outcomes of their transfers. */
class Bank {
  readonly transfers: Transfer[] = [];
  readonly violations: string[] = [];
  readonly #pool: AsyncConnectionPool;
  readonly #random: Random;
  readonly #deadline: number;
  /** The number of connections that tasks currently have, and of their requests. */
  #held = 0;
  #asked = 0;
  readonly #onRetry = (message: unknown): void => {
    if ((message as { pool: string }).pool === this.#pool.name) this.#asked++;
  };
  readonly #sampler: NodeJS.Timeout;

  constructor(pool: AsyncConnectionPool, seed: number, deadline: number) {
    this.#pool = pool;
    this.#random = new Random(seed + 1);
    this.#deadline = deadline;
    subscribe('usingpg:retry', this.#onRetry);
    this.#sampler = setInterval(() => {
      this.#checkStatistics();
    }, 10);
  }

  dispose(): void {
    clearInterval(this.#sampler);
    unsubscribe('usingpg:retry', this.#onRetry);
  }

  async work(): Promise<void> {
    while (Date.now() < this.#deadline) {
      const [from, to] = [this.#random.below(ACCOUNTS), this.#random.below(ACCOUNTS - 1)];
      const transfer: Transfer = {
        id: this.transfers.length,
        from,
        to: to >= from ? to + 1 : to,
        amount: 1 + this.#random.below(50),
        outcome: null,
      };
      this.transfers.push(transfer);
      transfer.outcome = await this.#random.pick([
        () => this.#retried(transfer),
        () => this.#inScope(transfer),
        () => this.#withConnection(transfer),
      ])();
      this.#checkStatistics();
      // A pool without a server refuses at once, so the task gives it some time.
      if (transfer.outcome !== 'acknowledged') await sleep(this.#random.below(20));
    }
  }

  /** Uses `withTransaction()`, which reports an unknown outcome itself. */
  async #retried(transfer: Transfer): Promise<Outcome> {
    this.#asked++;
    try {
      await this.#pool.withTransaction(
        (connection) => this.#holding(() => this.#move(connection, transfer)),
        {
          isolationLevel: this.#random.pick([IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]),
        },
      );
      return 'acknowledged';
    } catch (error) {
      this.#expectTyped(error);
      return error instanceof errors.TransactionOutcomeUnknown ? 'unknown' : 'failed';
    }
  }

  async #inScope(transfer: Transfer): Promise<Outcome> {
    let isCommitting = false;
    this.#asked++;
    try {
      await using connection = await this.#pool.connection();
      await this.#holding(async () => {
        await connection.setIsolationLevel(IsolationLevel.REPEATABLE_READ);
        await this.#move(connection, transfer, this.#random.chance(0.2) ? AbortSignal.timeout(5) : undefined);
        isCommitting = true;
        await connection.commit();
      });
      return 'acknowledged';
    } catch (error) {
      return this.#afterFailure(error, isCommitting);
    }
  }

  async #withConnection(transfer: Transfer): Promise<Outcome> {
    let isCommitting = false;
    this.#asked++;
    try {
      await this.#pool.withConnection(async (connection) => {
        await this.#holding(async () => {
          await connection.setIsolationLevel(IsolationLevel.SERIALIZABLE);
          await this.#move(connection, transfer);
        });
        isCommitting = true;
      });
      return 'acknowledged';
    } catch (error) {
      return this.#afterFailure(error, isCommitting);
    }
  }

  /** Reads and writes in separate statements, so that a lack of isolation would lose money. */
  async #move(connection: AsyncConnection, transfer: Transfer, signal?: AbortSignal): Promise<void> {
    const { id, from, to, amount } = transfer;
    const options = signal === undefined ? {} : { signal };
    for (const [account, change] of [
      [from, -amount],
      [to, amount],
    ] as const) {
      const cursor = await connection.execute(
        'SELECT balance FROM account WHERE id = %s',
        [account],
        options,
      );
      const [balance] = (await cursor.fetchone()) as [bigint];
      const sum = balance + BigInt(change);
      await connection.execute('UPDATE account SET balance = %s WHERE id = %s', [sum, account], options);
    }
    await connection.execute('INSERT INTO ledger VALUES (%s, %s, %s, %s)', [id, from, to, amount], options);
  }

  async #holding<T>(task: () => Promise<T>): Promise<T> {
    this.#held++;
    try {
      return await task();
    } finally {
      this.#held--;
    }
  }

  #afterFailure(error: unknown, isCommitting: boolean): Outcome {
    this.#expectTyped(error);
    if (!isCommitting) return 'failed';
    // The server's answer to the COMMIT proves that it did not commit; a lost connection leaves that open.
    const { sqlstate } = error as errors.Error;
    return sqlstate === '40001' || sqlstate === '40P01' ? 'failed' : 'unknown';
  }

  #expectTyped(error: unknown): void {
    if (error instanceof errors.Error || (error as Error).name === 'TimeoutError') return;
    this.violations.push(`an error of no class of ours: ${String((error as Error).stack)}`);
  }

  /** Checks the invariants of the statistics. */
  #checkStatistics(): void {
    const { poolSize, poolAvailable, poolMax, requestsNum, requestsErrors } = this.#pool.getStats();
    const isRight =
      poolAvailable >= 0 &&
      poolAvailable + this.#held <= poolSize &&
      poolSize <= poolMax &&
      requestsErrors <= requestsNum &&
      requestsNum <= this.#asked;
    if (isRight) return;
    this.violations.push(
      `the statistics contradict what is known (${String(this.#held)} lent out, asked for ${String(this.#asked)} times): ` +
        JSON.stringify(this.#pool.getStats()),
    );
  }

  /** Checks that the pool has recovered: all its slots are usable, nothing is checked out, and the statistics add up. */
  async checkPoolAtRest(): Promise<void> {
    const pool = this.#pool;
    await pool.wait(20);
    const connections: AsyncConnection[] = [];
    for (let i = 0; i < MOST_CONNECTIONS; i++) {
      this.#asked++;
      connections.push(await pool.getconn(20));
    }
    const { poolSize, poolAvailable } = pool.getStats();
    if (poolSize !== MOST_CONNECTIONS || poolAvailable !== 0) {
      this.violations.push(`all lent out, the pool has ${JSON.stringify(pool.getStats())}`);
    }
    // A connection whose loss was unnoticed is found lost on its return.
    for (const connection of connections) await pool.putconn(connection);
    const stats = pool.getStats();
    const isRight =
      stats.poolAvailable === stats.poolSize &&
      stats.poolSize >= stats.poolMin &&
      stats.requestsWaiting === 0 &&
      stats.requestsNum === this.#asked &&
      stats.connectionsNum - stats.connectionsErrors >= stats.poolSize;
    if (!isRight) {
      this.violations.push(
        `at rest, asked for ${String(this.#asked)} times, the pool has ${JSON.stringify(stats)}`,
      );
    }
  }
}

/**
 * Compares the outcomes known to the tasks with the server's data. Returns the number of transfers of unknown outcome that were
 * committed.
 */
async function settle(server: OwnServer, { transfers, violations }: Bank): Promise<number> {
  const ledger = await query<{ id: number; source: number; target: number; amount: number }>(
    server,
    'SELECT * FROM ledger',
  );
  const times = new Map<number, number>();
  const balances = Array<number>(ACCOUNTS).fill(BALANCE);
  for (const { id, source, target, amount } of ledger) {
    times.set(id, (times.get(id) ?? 0) + 1);
    balances[source]! -= amount;
    balances[target]! += amount;
  }
  let unknownCommitted = 0;
  for (const { id, outcome } of transfers) {
    const found = times.get(id) ?? 0;
    if (outcome === 'unknown' && found === 1) unknownCommitted++;
    const isRight =
      outcome === 'acknowledged' ? found === 1 : outcome === 'unknown' ? found <= 1 : found === 0;
    if (!isRight) {
      violations.push(
        `transfer ${String(id)}, ${outcome ?? 'still under way'}, is there ${String(found)} times`,
      );
    }
  }
  const accounts = await query<{ id: number; balance: string }>(server, 'SELECT * FROM account');
  for (const { id, balance } of accounts) {
    if (Number(balance) !== balances[id]) {
      violations.push(`account ${String(id)} has ${balance}, by the ledger it is ${String(balances[id])}`);
    }
  }
  const total = accounts.reduce((sum, { balance }) => sum + Number(balance), 0);
  if (total !== ACCOUNTS * BALANCE) violations.push(`there are ${String(total)} in all`);
  return unknownCommitted;
}

async function checkNoBackends(
  server: OwnServer,
  applicationName: string,
  violations: string[],
): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const left = await query(server, 'SELECT pid FROM pg_stat_activity WHERE application_name = $1', [
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

function report(
  { transfers, violations }: Bank,
  unknownCommitted: number,
  circumstances: string,
): ChaosReport {
  const count = (wanted: Outcome): number => transfers.filter(({ outcome }) => outcome === wanted).length;
  const [acknowledged, failed, unknown] = [count('acknowledged'), count('failed'), count('unknown')];
  const summary =
    `${String(transfers.length)} transfers: ${String(acknowledged)} acknowledged, ${String(failed)} failed,` +
    ` ${String(unknown)} unknown (${String(unknownCommitted)} committed), ${String(violations.length)} violations; ${circumstances}`;
  return { acknowledged, failed, unknown, unknownCommitted, violations, summary };
}

/** Queries the server directly, not through the proxy. */
async function query<Row extends pg.QueryResultRow>(
  { dsn }: OwnServer,
  sql: string,
  values?: readonly unknown[],
): Promise<Row[]> {
  const client = new pg.Client(dsn);
  await client.connect();
  try {
    return (await client.query<Row>(sql, values === undefined ? undefined : [...values])).rows;
  } finally {
    await client.end();
  }
}
