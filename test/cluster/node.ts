import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';
import { FaultProxy } from '../support/fault-proxy.js';
import { serverIdentity } from '../support/own-process.js';
import { startPgBouncer, type PgBouncer } from '../support/pgbouncer.js';
import { freePort } from '../support/server.js';
import { signalAll } from './guard.js';

export const POSTGRESQL = '/usr/lib/postgresql/15/bin';
const PATRONI = '/usr/bin/patroni';

/** The settings of the cluster that Patroni keeps in etcd. A leader that has not renewed its lease for `ttl` seconds is none. */
const DYNAMIC = {
  ttl: 6,
  loop_wait: 1,
  retry_timeout: 2,
  synchronous_mode: true,
  maximum_lag_on_failover: 64 * 1024 * 1024,
  postgresql: {
    use_pg_rewind: true,
    use_slots: true,
    parameters: {
      max_connections: 100,
      shared_buffers: '16MB',
      dynamic_shared_memory_type: 'mmap',
      wal_keep_size: '64MB',
      wal_sender_timeout: '3s',
      wal_receiver_timeout: '3s',
      wal_retrieve_retry_interval: '100ms',
      fsync: 'off',
      lc_messages: 'C',
      // What the tasks provoke is no event of the server; the log is for its own.
      log_min_messages: 'log',
      log_checkpoints: 'off',
      timezone: 'UTC',
    },
  },
};

/** What a node is, by its Patroni's REST API. */
export type Role = 'primary' | 'standby' | 'none';

interface Status {
  readonly role?: string;
  readonly state?: string;
  readonly timeline?: number;
}

/** What a node needs of the cluster. */
export interface NodeOptions {
  readonly etcdPort: number;
  /** The port of a web server on which Patroni calls back. */
  readonly callbackPort: number;
  /** The path of PgBouncer. */
  readonly pgBouncer: string;
}

/**
 * A machine of the cluster: PostgreSQL under Patroni, and a PgBouncer before it. Whatever comes from other machines, and what
 * Patroni says to etcd, goes through proxies, which are the machine's network.
 */
export class Node {
  readonly name: string;
  /** The port of PostgreSQL itself; a session tells it by `current_setting('port')`. */
  readonly port: number;
  /** The REST API of Patroni itself. */
  readonly apiPort: number;
  /** What stands before PostgreSQL for clients, for other nodes, before PgBouncer, before the REST API, and before etcd. */
  readonly network: Readonly<Record<'clients' | 'peers' | 'bouncer' | 'api' | 'etcd', FaultProxy>>;
  readonly #directory: string;
  #patroni: ChildProcess | null = null;
  /** PgBouncer before PostgreSQL, itself. */
  readonly bouncer: PgBouncer;

  private constructor(
    name: string,
    directory: string,
    ports: { port: number; apiPort: number },
    bouncer: PgBouncer,
    network: Node['network'],
  ) {
    this.name = name;
    this.port = ports.port;
    this.apiPort = ports.apiPort;
    this.network = network;
    this.#directory = directory;
    this.bouncer = bouncer;
  }

  /** Sets up the node `name` in a directory of its own below `home`; `start()` starts it. */
  static async create(name: string, home: string, options: NodeOptions): Promise<Node> {
    const { etcdPort, callbackPort, pgBouncer } = options;
    const directory = join(home, name);
    const identity = serverIdentity();
    const sockets = join(directory, 'sockets');
    for (const place of [directory, sockets]) {
      await mkdir(place, { mode: 0o755 });
      if (identity.uid !== undefined) await chown(place, identity.uid, identity.gid);
    }
    const [port, apiPort] = [await freePort(), await freePort()];
    const local = (to: number): { host: string; port: number } => ({ host: '127.0.0.1', port: to });
    const bouncer = await startPgBouncer(
      pgBouncer,
      `host=127.0.0.1 port=${String(port)} user=postgres`,
      // By default, it refuses for 15 seconds after it could not connect, and lets a query wait for two minutes.
      { default_pool_size: 20, server_login_retry: 0.2, query_wait_timeout: 5, query_timeout: 0 },
      // Before 1.19.1, it ends with "bad client state: 0" if a client leaves while its cancel request waits for a frozen server.
      { parent: home, restarts: true },
    );
    const network = {
      clients: await FaultProxy.to(local(port)),
      peers: await FaultProxy.to(local(port)),
      bouncer: await FaultProxy.to(local(bouncer.port)),
      api: await FaultProxy.to(local(apiPort)),
      etcd: await FaultProxy.to(local(etcdPort)),
    };
    // Patroni appends the event, the role and the name of the cluster.
    const callback = join(directory, 'callback');
    const url = `http://127.0.0.1:${String(callbackPort)}/`;
    await writeFile(
      callback,
      `#!/bin/sh\nexec /usr/bin/python3 -c 'import urllib.request; urllib.request.urlopen("${url}", timeout=2)'\n`,
      { mode: 0o755 },
    );
    await writeFile(
      join(directory, 'patroni.yml'),
      // JSON is YAML.
      JSON.stringify({
        scope: 'usingpg',
        name,
        restapi: {
          listen: `127.0.0.1:${String(apiPort)}`,
          connect_address: `127.0.0.1:${String(network.api.port)}`,
        },
        // Without this, Patroni would ask etcd for its own address, and go past the node's network.
        etcd3: { hosts: [`127.0.0.1:${String(network.etcd.port)}`], use_proxies: true },
        bootstrap: {
          dcs: DYNAMIC,
          initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'no-sync', 'data-checksums'],
          pg_hba: ['local all all trust', 'host all,replication all 127.0.0.1/32 trust'],
        },
        postgresql: {
          listen: `127.0.0.1:${String(port)}`,
          connect_address: `127.0.0.1:${String(network.peers.port)}`,
          data_dir: join(directory, 'data'),
          bin_dir: POSTGRESQL,
          pgpass: join(directory, 'pgpass'),
          use_unix_socket: true,
          authentication: {
            superuser: { username: 'postgres' },
            replication: { username: 'replicator', password: 'unused' },
          },
          parameters: { unix_socket_directories: sockets },
          callbacks: { on_start: callback, on_role_change: callback },
          basebackup: [{ checkpoint: 'fast' }, 'no-sync'],
          remove_data_directory_on_rewind_failure: true,
          remove_data_directory_on_diverged_timelines: true,
        },
        watchdog: { mode: 'off' },
      }),
    );
    return new Node(name, directory, { port, apiPort }, bouncer, network);
  }

  /** The connection string of PostgreSQL itself. */
  get dsn(): string {
    return `postgresql://postgres@127.0.0.1:${String(this.port)}/postgres`;
  }

  /** Starts Patroni, which starts PostgreSQL. */
  start(): void {
    const log = openSync(join(this.#directory, 'patroni.log'), 'a');
    this.#patroni = spawn(PATRONI, [join(this.#directory, 'patroni.yml')], {
      ...serverIdentity(),
      cwd: this.#directory,
      env: { PATH: process.env['PATH'], HOME: this.#directory, LC_ALL: 'C.UTF-8' },
      stdio: ['ignore', log, log],
    });
    this.#patroni.unref();
    closeSync(log);
  }

  /** Kills PostgreSQL and Patroni at once, as a loss of power does. */
  kill(): void {
    signalAll(this.#directory, 'SIGKILL');
  }

  /** Stops PostgreSQL and Patroni in the middle of what they do. */
  freeze(): void {
    signalAll(this.#directory, 'SIGSTOP');
  }

  /**
   * Lets PostgreSQL go on, and starts Patroni anew. Version 3.0 with etcd renews its lease by what it read before it was frozen, and may
   * so take the place of the new primary, whose transactions are lost; a watchdog would have ended it before.
   */
  thaw(): void {
    this.#patroni?.kill('SIGKILL');
    signalAll(this.#directory, 'SIGCONT');
    this.start();
  }

  /** Lets everything vanish that is sent to this node, and what it answers, the bytes on their way included. */
  swallow(): void {
    for (const proxy of Object.values(this.network)) proxy.blackHole.add('up').add('down');
  }

  /** Ends `swallow()`. Connections are reset, since TCP never loses a part of one. */
  heal(): void {
    for (const proxy of Object.values(this.network)) {
      proxy.resetAll();
      proxy.blackHole.clear();
    }
  }

  /** What it is according to its Patroni, and whether PostgreSQL agrees. */
  async role(): Promise<Role> {
    const answer = await this.api('GET', '/primary').catch(() => null);
    if (answer === null) return 'none';
    const { role, state } = answer.body as Status;
    if (state !== 'running') return 'none';
    const inRecovery = await this.query('SELECT pg_is_in_recovery() AS r').catch(() => null);
    if (inRecovery === null) return 'none';
    if (answer.code === 200) return inRecovery[0]?.['r'] === false ? 'primary' : 'none';
    return role === 'replica' && inRecovery[0]?.['r'] === true ? 'standby' : 'none';
  }

  /** Asks its Patroni, past the proxies. */
  api(method: string, path: string, body?: object, seconds = 1): Promise<{ code: number; body: unknown }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: this.apiPort, method, path, agent: false, timeout: seconds * 1000 },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            let parsed: unknown = text;
            try {
              parsed = JSON.parse(text);
            } catch {
              // Some answers are a sentence.
            }
            resolve({ code: response.statusCode ?? 0, body: parsed });
          });
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer from Patroni on ${this.name}`)));
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Queries PostgreSQL with node-postgres, past the proxies. */
  async query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    sql: string,
    values: unknown[] = [],
  ): Promise<Row[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.port,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 2000,
      query_timeout: 10_000,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(sql, values)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Ends what belongs to this process; the guard of the cluster ends the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of Object.values(this.network)) await proxy[Symbol.asyncDispose]();
    await this.bouncer[Symbol.asyncDispose]();
  }
}
