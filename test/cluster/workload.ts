import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AsyncConnectionPool,
  dictRow,
  errors,
  Listener,
  type AsyncConnection,
  type ListenerEvent,
  type PoolOptions,
  type QueryMessage,
} from '../../src/index.js';
import { Bank, Teller, TOTAL } from '../fault/bank.js';
import { Random } from '../support/random.js';
import type { Cluster } from './cluster.js';
import { PoolTrace } from './pool-trace.js';
import { RoleWatch } from './watch.js';

/** The ways to the primary. */
export const WAYS = ['three hosts', 'HAProxy', 'HAProxy and PgBouncer'] as const;
export type Way = (typeof WAYS)[number];

/** A read, by a pool that writes as well or by one that prefers standbys. Times are those of `performance.now()`. */
export interface Read {
  /** The pool's name. */
  readonly pool: string;
  readonly began: number;
  readonly ended: number;
  /** The port of the server that answered; null after a failure. */
  readonly port: number | null;
  /** Whether that server was a standby. */
  readonly inRecovery: boolean;
  /** Whether it lacked a transfer that was acknowledged before the read began. */
  readonly stale: boolean;
}

interface AuditRow {
  port: number;
  in_recovery: boolean;
  total: bigint | null;
  current: boolean;
}

const AUDIT = `SELECT current_setting('port')::int AS port, pg_is_in_recovery() AS in_recovery,
  (SELECT sum(balance)::bigint FROM account) AS total, %s < 0 OR EXISTS (SELECT FROM ledger WHERE id = %s) AS current`;

const TASKS = 3;
/** Milliseconds between two transfers, two reads, and between two audits of a task. */
const TRANSFER_PAUSE = 20;
const READ_PAUSE = 60;
const AUDIT_PAUSE = 60;
/** Milliseconds after which a program gives up a statement. */
const PATIENCE = 3000;
const READERS = 12;
export const READERS_POOL = 'readers';
export const CHANNEL = 'cluster';
/** The lifetime of a reader's connection, in seconds. */
export const READERS_LIFETIME = 8;

/** What programs do with a cluster: transfers and audits by each way, reads on standbys, and a `Listener`. */
export class Workload {
  readonly bank: Bank;
  readonly tellers: ReadonlyMap<Way, Teller>;
  readonly traces: ReadonlyMap<Way, PoolTrace> = new Map(WAYS.map((way) => [way, new PoolTrace(way)]));
  readonly readers: AsyncConnectionPool;
  readonly watch: RoleWatch;
  /** The reads by pools that write, and those of the readers, in order of their end. */
  readonly audits: Read[] = [];
  readonly reads: Read[] = [];
  readonly events: ListenerEvent[] = [];
  /** How often a connection of a pool was told that its server is read-only, by pool and process id. */
  readonly refusals = new Map<string, number>();
  readonly #auditPools: AsyncConnectionPool[] = [];
  readonly #listenerPool: AsyncConnectionPool;
  readonly #listener: Listener;
  readonly #onQuery: (message: unknown) => void;
  readonly #tasks: Promise<unknown>[];
  #isOver = false;

  private constructor(cluster: Cluster, bank: Bank, seed: number) {
    this.bank = bank;
    this.watch = new RoleWatch(cluster.nodes);
    const writable = 'target_session_attrs=read-write';
    const conninfos: Readonly<Record<Way, string>> = {
      'three hosts': cluster.hosts(writable),
      HAProxy: cluster.haproxy('primary', writable),
      'HAProxy and PgBouncer': cluster.haproxy('bouncer', writable),
    };
    const check = (connection: AsyncConnection): Promise<void> =>
      AsyncConnectionPool.checkConnection(connection);
    const common: PoolOptions = { check, checkTimeout: 1, timeout: 30 };
    this.tellers = new Map(
      WAYS.map((way, i) => {
        const open = (name: string, maxSize: number): AsyncConnectionPool =>
          new AsyncConnectionPool(conninfos[way], {
            ...common,
            name,
            minSize: 1,
            maxSize,
            connectOptions: way === 'HAProxy and PgBouncer' ? { prepareThreshold: null } : {},
          });
        this.#auditPools.push(open(`${way}, audits`, 1));
        return [way, new Teller(bank, open(way, 6), new Random(seed + i), PATIENCE)];
      }),
    );
    this.readers = new AsyncConnectionPool(
      cluster.hosts('target_session_attrs=prefer-standby load_balance_hosts=random'),
      { ...common, name: READERS_POOL, minSize: READERS, maxLifetime: READERS_LIFETIME },
    );
    this.#listenerPool = new AsyncConnectionPool(cluster.hosts(writable), {
      ...common,
      name: 'listener',
      minSize: 1,
    });
    this.#listener = new Listener(this.#listenerPool, CHANNEL, { keepalive: 1 });
    this.#onQuery = (message): void => {
      const { pool, backendPid, sqlstate } = message as QueryMessage;
      if (sqlstate !== '25006' || pool === null) return;
      const key = `${pool}, process ${String(backendPid)}`;
      this.refusals.set(key, (this.refusals.get(key) ?? 0) + 1);
    };
    subscribe('tracing:usingpg:query:asyncEnd', this.#onQuery);
    const isOver = (): boolean => this.#isOver;
    this.#tasks = [
      ...[...this.tellers.values()].flatMap((teller) =>
        Array.from({ length: TASKS }, () => teller.work(isOver, TRANSFER_PAUSE)),
      ),
      ...this.#auditPools.map((pool) => this.#read(pool, this.audits, AUDIT_PAUSE)),
      ...Array.from({ length: READERS }, () => this.#read(this.readers, this.reads, READ_PAUSE)),
      this.#listen(),
    ];
    for (const task of this.#tasks) task.catch(() => undefined);
  }

  /** Starts the work, with new accounts; resolves when each way has done something. */
  static async start(cluster: Cluster, seed: number): Promise<Workload> {
    const primary = await cluster.primary();
    const bank = await Bank.open(primary.dsn);
    const workload = new Workload(cluster, bank, seed);
    await workload.progress();
    return workload;
  }

  /** Waits until each way has acknowledged so many transfers more. */
  async progress(transfers = 10): Promise<void> {
    const goals = [...this.tellers.values()].map((teller) => ({
      teller,
      goal: acknowledged(teller) + transfers,
    }));
    while (goals.some(({ teller, goal }) => acknowledged(teller) < goal)) await sleep(20);
  }

  /** When the first transfer that a way began after a moment was acknowledged; null if there is none yet. */
  firstAcknowledged(way: Way, moment: number): number | null {
    return (
      this.tellers.get(way)!.ended.find(({ outcome, ended }) => outcome === 'acknowledged' && ended >= moment)
        ?.ended ?? null
    );
  }

  /** The state of a way, for the message of a test that waits for it. */
  describe(way: Way): string {
    const { pool, lastError } = this.tellers.get(way)!;
    const picture = this.traces.get(way)!.describe();
    return `${way}: ${JSON.stringify(pool.getStats())}; the last error was ${String(lastError).slice(-300)}; ${picture}`;
  }

  /** Ends all tasks and closes the pools. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#listener.close();
    await Promise.all(this.#tasks);
    await this.watch.stop();
    for (const teller of this.tellers.values()) {
      await teller.checkPoolAtRest();
      await teller.pool.close();
      teller[Symbol.dispose]();
    }
    for (const pool of [this.readers, this.#listenerPool, ...this.#auditPools]) await pool.close();
    for (const trace of this.traces.values()) trace.stop();
    unsubscribe('tracing:usingpg:query:asyncEnd', this.#onQuery);
  }

  /** Reads, and sees whether the last transfer that was acknowledged before is there. */
  async #read(pool: AsyncConnectionPool, reads: Read[], pause: number): Promise<void> {
    while (!this.#isOver) {
      const began = performance.now();
      const last = this.#lastAcknowledged();
      let row: AuditRow | null = null;
      try {
        const { rows } = await pool.execute(AUDIT, [last, last], {
          rowFactory: dictRow<AuditRow>,
          signal: AbortSignal.timeout(PATIENCE),
        });
        row = rows[0]!;
      } catch (error) {
        if (!(error instanceof errors.Error) && (error as Error).name !== 'TimeoutError') throw error;
      }
      if (row !== null && Number(row.total) !== TOTAL && row.total !== null) {
        this.bank.violations.push(`an audit by ${pool.name} saw ${String(row.total)} in all`);
      }
      reads.push({
        pool: pool.name,
        began,
        ended: performance.now(),
        port: row?.port ?? null,
        inRecovery: row?.in_recovery ?? false,
        stale: row !== null && !row.current,
      });
      await sleep(pause);
    }
  }

  #lastAcknowledged(): number {
    let last: { id: number; ended: number } | null = null;
    for (const { ended } of this.tellers.values()) {
      const transfer = ended.findLast(({ outcome }) => outcome === 'acknowledged');
      if (transfer !== undefined && (last === null || transfer.ended > last.ended)) last = transfer;
    }
    return last?.id ?? -1;
  }

  async #listen(): Promise<void> {
    for await (const event of this.#listener) this.events.push(event);
  }
}

function acknowledged({ ended }: Teller): number {
  return ended.filter(({ outcome }) => outcome === 'acknowledged').length;
}
