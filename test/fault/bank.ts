import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { errors, IsolationLevel, type AsyncConnection, type AsyncConnectionPool } from '../../src/index.js';
import type { Random } from '../support/random.js';

const ACCOUNTS = 12;
const BALANCE = 1000;
/** All that is in the bank, at any moment. */
export const TOTAL = ACCOUNTS * BALANCE;

/** What the task that asked for a transfer was told. */
export type Outcome = 'acknowledged' | 'failed' | 'unknown';

/** A transfer of money. Times are those of `performance.now()`, in milliseconds. */
export interface Transfer {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
  readonly began: number;
  /** Null while it is under way. */
  outcome: Outcome | null;
  ended: number;
}

/** What the server knows, held against what the tasks were told. */
export interface Settlement {
  /** The transfers of unknown outcome that were committed. */
  readonly unknownCommitted: number;
  /** The acknowledged transfers that the server does not have. */
  readonly lost: readonly Transfer[];
}

/** Accounts on a server, and what tasks were told of the transfers between them. */
export class Bank {
  readonly transfers: Transfer[] = [];
  readonly violations: string[] = [];

  /** Opens the accounts anew, on the server of `dsn`. */
  static async open(dsn: string): Promise<Bank> {
    await query(
      dsn,
      `DROP TABLE IF EXISTS ledger, account;
       CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
       CREATE TABLE ledger (id int NOT NULL, source int NOT NULL, target int NOT NULL, amount int NOT NULL);
       CREATE INDEX ON ledger (id);
       INSERT INTO account SELECT i, ${String(BALANCE)} FROM generate_series(0, ${String(ACCOUNTS - 1)}) i`,
    );
    return new Bank();
  }

  /** A transfer of a random amount between random accounts. */
  ask(random: Random): Transfer {
    const [from, to] = [random.below(ACCOUNTS), random.below(ACCOUNTS - 1)];
    const transfer: Transfer = {
      id: this.transfers.length,
      from,
      to: to >= from ? to + 1 : to,
      amount: 1 + random.below(50),
      began: performance.now(),
      outcome: null,
      ended: Infinity,
    };
    this.transfers.push(transfer);
    return transfer;
  }

  count(wanted: Outcome): number {
    return this.transfers.filter(({ outcome }) => outcome === wanted).length;
  }

  /**
   * Compares what the tasks were told with the data of the server of `dsn`, which is asked directly. An acknowledged transfer that
   * is missing is a violation unless `mayLose`, as with asynchronous replication.
   */
  async settle(dsn: string, mayLose = false): Promise<Settlement> {
    const ledger = await query<{ id: number; source: number; target: number; amount: number }>(
      dsn,
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
    const lost: Transfer[] = [];
    for (const transfer of this.transfers) {
      const { id, outcome } = transfer;
      const found = times.get(id) ?? 0;
      if (outcome === 'unknown' && found === 1) unknownCommitted++;
      if (outcome === 'acknowledged' && found === 0) {
        lost.push(transfer);
        if (mayLose) continue;
      }
      const isRight =
        outcome === 'acknowledged' ? found === 1 : outcome === 'unknown' ? found <= 1 : found === 0;
      if (!isRight) {
        this.violations.push(
          `transfer ${String(id)}, ${outcome ?? 'still under way'}, is there ${String(found)} times`,
        );
      }
    }
    const accounts = await query<{ id: number; balance: string }>(dsn, 'SELECT * FROM account');
    for (const { id, balance } of accounts) {
      if (Number(balance) !== balances[id]) {
        this.violations.push(
          `account ${String(id)} has ${balance}, by the ledger it is ${String(balances[id])}`,
        );
      }
    }
    const total = accounts.reduce((sum, { balance }) => sum + Number(balance), 0);
    if (total !== TOTAL) this.violations.push(`there are ${String(total)} in all`);
    return { unknownCommitted, lost };
  }

  /** What came of the transfers, in words. */
  summary(unknownCommitted: number): string {
    return (
      `${String(this.transfers.length)} transfers: ${String(this.count('acknowledged'))} acknowledged,` +
      ` ${String(this.count('failed'))} failed, ${String(this.count('unknown'))} unknown` +
      ` (${String(unknownCommitted)} committed), ${String(this.violations.length)} violations`
    );
  }
}

/** The tasks that transfer money through one pool, and check its statistics. */
export class Teller {
  /** The transfers that were asked for here, in order of their end. */
  readonly ended: Transfer[] = [];
  readonly pool: AsyncConnectionPool;
  /** The last error that a task was told; null before any. */
  lastError: unknown = null;
  readonly #bank: Bank;
  readonly #random: Random;
  /** Milliseconds that a statement or a COMMIT may take; Infinity: no limit. */
  readonly #patience: number;
  /** The number of connections that tasks currently have, and of their requests. */
  #held = 0;
  #asked = 0;
  readonly #onRetry = (message: unknown): void => {
    if ((message as { pool: string }).pool === this.pool.name) this.#asked++;
  };
  readonly #sampler: NodeJS.Timeout;

  constructor(bank: Bank, pool: AsyncConnectionPool, random: Random, patience = Infinity) {
    this.pool = pool;
    this.#bank = bank;
    this.#random = random;
    this.#patience = patience;
    subscribe('usingpg:retry', this.#onRetry);
    this.#sampler = setInterval(() => {
      this.#checkStatistics();
    }, 10);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sampler);
    unsubscribe('usingpg:retry', this.#onRetry);
  }

  /** Transfers money until `isOver`, with a pause of so many milliseconds after each transfer. */
  async work(isOver: () => boolean, pause = 0): Promise<void> {
    while (!isOver()) {
      const transfer = this.#bank.ask(this.#random);
      transfer.outcome = await this.#random.pick([
        () => this.#retried(transfer),
        () => this.#inScope(transfer),
        () => this.#withConnection(transfer),
      ])();
      transfer.ended = performance.now();
      this.ended.push(transfer);
      this.#checkStatistics();
      // A pool without a server refuses at once, so the task gives it some time.
      const rest = pause + (transfer.outcome === 'acknowledged' ? 0 : this.#random.below(20));
      if (rest > 0) await sleep(rest);
    }
  }

  /** Uses `withTransaction()`, which repeats what the server asks to repeat. */
  #retried(transfer: Transfer): Promise<Outcome> {
    const isolationLevel = this.#random.pick([IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]);
    return this.#told(({ committing }) =>
      this.pool.withTransaction(
        (connection, transaction) =>
          this.#holding(async () => {
            committing(false);
            await this.#move(connection, transfer);
            committing(true);
            // The COMMIT at the end of the callback has no limit.
            if (this.#patience !== Infinity) await transaction.commit(this.#bounded());
          }),
        { isolationLevel },
      ),
    );
  }

  #inScope(transfer: Transfer): Promise<Outcome> {
    return this.#told(async ({ committing }) => {
      await using connection = await this.pool.connection();
      await this.#holding(async () => {
        await connection.setIsolationLevel(IsolationLevel.REPEATABLE_READ);
        await this.#move(connection, transfer, this.#random.chance(0.2) ? AbortSignal.timeout(5) : undefined);
        committing(true);
        await connection.commit(this.#bounded());
      });
    });
  }

  #withConnection(transfer: Transfer): Promise<Outcome> {
    return this.#told(({ committing }) =>
      this.pool.withConnection(async (connection) => {
        await this.#holding(async () => {
          await connection.setIsolationLevel(IsolationLevel.SERIALIZABLE);
          await this.#move(connection, transfer);
          committing(true);
          if (this.#patience !== Infinity) await connection.commit(this.#bounded());
        });
      }),
    );
  }

  /** What the task is told. Only of a COMMIT that was sent may the outcome be unknown. */
  async #told(
    transfer: (state: { committing: (value: boolean) => void }) => Promise<unknown>,
  ): Promise<Outcome> {
    let isCommitting = false;
    this.#asked++;
    try {
      await transfer({ committing: (value) => (isCommitting = value) });
      return 'acknowledged';
    } catch (error) {
      this.lastError = error;
      if (!(error instanceof errors.Error) && (error as Error).name !== 'TimeoutError') {
        this.#bank.violations.push(`an error of no class of ours: ${String((error as Error).stack)}`);
      }
      if (!(error instanceof errors.TransactionOutcomeUnknown)) return 'failed';
      if (!isCommitting) this.#bank.violations.push('TransactionOutcomeUnknown was said before the COMMIT');
      return 'unknown';
    }
  }

  /** Reads and writes in separate statements, so that a lack of isolation would lose money. */
  async #move(connection: AsyncConnection, transfer: Transfer, signal?: AbortSignal): Promise<void> {
    const { id, from, to, amount } = transfer;
    const options = signal === undefined ? this.#bounded() : { signal };
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

  #bounded(): { signal?: AbortSignal } {
    return this.#patience === Infinity ? {} : { signal: AbortSignal.timeout(this.#patience) };
  }

  async #holding<T>(task: () => Promise<T>): Promise<T> {
    this.#held++;
    try {
      return await task();
    } finally {
      this.#held--;
    }
  }

  /** Checks the invariants of the statistics. */
  #checkStatistics(): void {
    const { poolSize, poolAvailable, poolMax, requestsNum, requestsErrors } = this.pool.getStats();
    const isRight =
      poolAvailable >= 0 &&
      poolAvailable + this.#held <= poolSize &&
      poolSize <= poolMax &&
      requestsErrors <= requestsNum &&
      requestsNum <= this.#asked;
    if (isRight) return;
    this.#bank.violations.push(
      `the statistics contradict what is known (${String(this.#held)} lent out, asked for ${String(this.#asked)} times): ` +
        JSON.stringify(this.pool.getStats()),
    );
  }

  /** Checks that the pool has recovered: all its slots are usable, nothing is checked out, and the statistics add up. */
  async checkPoolAtRest(): Promise<void> {
    const { pool } = this;
    const { violations } = this.#bank;
    await pool.wait(20);
    const connections: AsyncConnection[] = [];
    for (let i = 0; i < pool.maxSize; i++) {
      this.#asked++;
      connections.push(await pool.getconn(20));
    }
    const { poolSize, poolAvailable } = pool.getStats();
    if (poolSize !== pool.maxSize || poolAvailable !== 0) {
      violations.push(`all lent out, the pool has ${JSON.stringify(pool.getStats())}`);
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
      violations.push(
        `at rest, asked for ${String(this.#asked)} times, the pool has ${JSON.stringify(stats)}`,
      );
    }
  }
}

/** Queries a server with node-postgres. */
export async function query<Row extends pg.QueryResultRow>(
  dsn: string,
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
