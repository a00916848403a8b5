import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, closeSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitOf, serverIdentity } from '../support/own-process.js';
import { pgBouncerProgram } from '../support/pgbouncer.js';
import { freePort } from '../support/server.js';
import { Guard } from './guard.js';
import { Node, POSTGRESQL } from './node.js';

const ETCD = '/usr/bin/etcd';
const HAPROXY = '/usr/sbin/haproxy';
const PARTS = {
  'postgresql-15': `${POSTGRESQL}/postgres`,
  patroni: '/usr/bin/patroni',
  'etcd-server': ETCD,
  haproxy: HAPROXY,
};
/** Seconds for which a state of the cluster is waited for, on a busy machine. */
const PATIENCE = 90;
/** The lines of each log that the message of a failure has. */
const LINES = 60;

/** Why no cluster can be started here; null if it can. */
export function whyNoCluster(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs root on Debian';
  const missing = Object.entries(PARTS)
    .filter(([, program]) => !existsSync(program))
    .map(([name]) => name);
  if (pgBouncerProgram() === null) missing.push('pgbouncer');
  return missing.length === 0 ? null : `these packages are missing: ${missing.join(', ')}`;
}

/**
 * Three PostgreSQL nodes under Patroni, their etcd, and a HAProxy before them, all on loopback and in a temporary directory.
 * Nothing of it survives this process.
 */
export class Cluster implements AsyncDisposable {
  readonly nodes: readonly Node[];
  /** HAProxy's ports: to the primary, to the standbys in turn, and to the PgBouncer of the primary. */
  readonly ports: Readonly<Record<'primary' | 'standbys' | 'bouncer', number>>;
  /** The directory with everything of the cluster. */
  readonly home: string;
  /** Called when Patroni calls back, as its `on_start` and `on_role_change` do. */
  onCallback: (() => void) | null = null;
  readonly #guard: Guard;
  readonly #callbacks: Server;
  readonly #startEtcd: () => ChildProcess;
  #etcd: ChildProcess;

  private constructor(
    home: string,
    guard: Guard,
    callbacks: Server,
    nodes: readonly Node[],
    ports: Cluster['ports'],
    startEtcd: () => ChildProcess,
    etcd: ChildProcess,
  ) {
    this.home = home;
    this.nodes = nodes;
    this.ports = ports;
    this.#guard = guard;
    this.#callbacks = callbacks.on('request', (_, response) => {
      this.onCallback?.();
      response.writeHead(204, { connection: 'close' }).end();
    });
    this.#startEtcd = startEtcd;
    this.#etcd = etcd;
  }

  /** Starts a cluster; resolves when it has a primary and two standbys, one of which is synchronous. */
  static async start(): Promise<Cluster> {
    const home = await mkdtemp(join(tmpdir(), 'usingpg-cluster-'));
    const guard = new Guard(home);
    const nodes: Node[] = [];
    const callbacks = createServer().listen(0, '127.0.0.1');
    await once(callbacks, 'listening');
    try {
      const identity = serverIdentity();
      await chmod(home, 0o755);
      const logs = join(home, 'logs');
      const data = join(home, 'etcd');
      for (const directory of [logs, data]) {
        await mkdir(directory, { mode: 0o700 });
        if (identity.uid !== undefined) await chown(directory, identity.uid, identity.gid);
      }
      const launch = (program: string, args: readonly string[], log: string): ChildProcess => {
        const output = openSync(join(home, log), 'a');
        const child = spawn(program, args, { ...identity, cwd: home, stdio: ['ignore', output, output] });
        child.unref();
        closeSync(output);
        return child;
      };
      const [client, peer] = [await freePort(), await freePort()];
      const url = (port: number): string => `http://127.0.0.1:${String(port)}`;
      const startEtcd = (): ChildProcess =>
        launch(
          ETCD,
          [
            `--name=etcd`,
            `--data-dir=${data}`,
            `--listen-client-urls=${url(client)}`,
            `--advertise-client-urls=${url(client)}`,
            `--listen-peer-urls=${url(peer)}`,
            `--initial-advertise-peer-urls=${url(peer)}`,
            `--initial-cluster=etcd=${url(peer)}`,
            '--unsafe-no-fsync',
            '--logger=zap',
            '--log-level=warn',
          ],
          'etcd.log',
        );
      const etcd = startEtcd();
      for (const name of ['node1', 'node2', 'node3']) {
        nodes.push(
          await Node.create(name, home, {
            etcdPort: client,
            callbackPort: (callbacks.address() as AddressInfo).port,
            pgBouncer: pgBouncerProgram()!,
          }),
        );
      }
      const ports = { primary: await freePort(), standbys: await freePort(), bouncer: await freePort() };
      await writeFile(join(home, 'haproxy.cfg'), haproxyConfiguration(nodes, ports));
      launch(HAPROXY, ['-db', '-f', join(home, 'haproxy.cfg')], 'haproxy.log');
      await etcdIsReady(url(client));
      for (const node of nodes) node.start();
      const cluster = new Cluster(home, guard, callbacks, nodes, ports, startEtcd, etcd);
      await cluster.whole();
      return cluster;
    } catch (error) {
      const logs = await logsOf(home, nodes);
      for (const node of nodes) await node[Symbol.asyncDispose]();
      callbacks.close();
      await guard.end();
      throw new Error(`the cluster did not start:\n${logs}`, { cause: error });
    }
  }

  /** The connection string of all nodes, with further parameters. */
  hosts(parameters: string): string {
    const hosts = this.nodes.map(() => '127.0.0.1').join(',');
    const ports = this.nodes.map(({ network }) => String(network.clients.port)).join(',');
    return `host=${hosts} port=${ports} user=postgres dbname=postgres connect_timeout=2 ${parameters}`;
  }

  /** The connection string of one of HAProxy's ports, with further parameters. */
  haproxy(port: keyof Cluster['ports'], parameters = ''): string {
    return `host=127.0.0.1 port=${String(this.ports[port])} user=postgres dbname=postgres connect_timeout=2 ${parameters}`;
  }

  /** The node whose PostgreSQL listens on `port`. */
  nodeAt(port: number): Node {
    return this.nodes.find((node) => node.port === port || node.network.clients.port === port)!;
  }

  /** Waits for a primary, other than `former` if that is given. */
  async primary(former: Node | null = null): Promise<Node> {
    return this.#until('a primary', async () => {
      const roles = await Promise.all(
        this.nodes.map(async (node) => (node === former ? 'none' : await node.role())),
      );
      return this.nodes[roles.indexOf('primary')] ?? null;
    });
  }

  /** Waits until `node` is what `role` says. */
  async becomes(node: Node, role: 'primary' | 'standby' | 'none'): Promise<void> {
    await this.#until(`${node.name} to be ${role}`, async () => ((await node.role()) === role ? true : null));
  }

  /**
   * Waits for a primary to which two standbys stream. If it is `synchronous`, one of them must be the synchronous standby
   * according to etcd, too: no other may take the primary's place.
   */
  async whole(synchronous = true): Promise<Node> {
    return this.#until('a primary and two standbys', async () => {
      const roles = await Promise.all(this.nodes.map((node) => node.role()));
      const primary = this.nodes[roles.indexOf('primary')];
      if (primary === undefined || roles.filter((role) => role === 'standby').length !== 2) return null;
      const streams = await primary.query('SELECT state FROM pg_stat_replication').catch(() => []);
      if (streams.filter(({ state }) => state === 'streaming').length !== 2) return null;
      const answer = await primary.api('GET', '/cluster').catch(() => null);
      const { members = [] } = (answer?.body ?? {}) as { members?: { role: string }[] };
      return members.some(({ role }) => role === 'sync_standby') === synchronous ? primary : null;
    });
  }

  async #until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    const deadline = performance.now() + PATIENCE * 1000;
    for (;;) {
      const found = await look();
      if (found !== null) return found;
      if (performance.now() > deadline)
        throw new Error(`waited in vain for ${what}:\n${await logsOf(this.home, this.nodes)}`);
      await sleep(50);
    }
  }

  /** Takes etcd away; `restoreEtcd()` brings it back with what it knew. */
  async removeEtcd(): Promise<void> {
    await exitOf(this.#etcd, 'SIGKILL');
  }

  restoreEtcd(): void {
    this.#etcd = this.#startEtcd();
  }

  /** Changes the settings that Patroni keeps in etcd. */
  async configure(settings: object): Promise<void> {
    const primary = await this.primary();
    const { code, body } = await primary.api('PATCH', '/config', settings, 10);
    if (code !== 200) throw new Error(`Patroni refused the settings: ${JSON.stringify(body)}`);
  }

  /** Ends everything and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    await this.#guard.end();
    this.#callbacks.close();
  }
}

/** What the nodes are, and what each part of the cluster said last. */
async function logsOf(home: string, nodes: readonly Node[]): Promise<string> {
  const endOf = async (name: string, most: number): Promise<string> => {
    const log = await readFile(join(home, name), 'utf8').catch(() => 'no log');
    // Patroni says each second that all is as it should be.
    const lines = log.split('\n').filter((line) => !/INFO: (?:no action|Lock owner)/.test(line));
    return lines.slice(-most).join('\n');
  };
  const ends = await Promise.all(
    nodes.map(async (node) => {
      const cluster = await node.api('GET', '/cluster').catch(String);
      return [
        `${node.name} (${await node.role()}) sees ${JSON.stringify(cluster)}`,
        await endOf(join(node.name, 'patroni.log'), LINES),
        `PgBouncer of ${node.name}: ${node.bouncer.log().split('\n').slice(-LINES).join('\n')}`,
      ].join('\n');
    }),
  );
  return [
    ...ends,
    `HAProxy: ${await endOf('haproxy.log', LINES)}`,
    `etcd: ${await endOf('etcd.log', LINES)}`,
  ].join('\n\n');
}

/** Waits until etcd has decided the version of its cluster: a Patroni that asks before ends with an error. */
async function etcdIsReady(url: string): Promise<void> {
  const deadline = performance.now() + PATIENCE * 1000;
  for (;;) {
    try {
      const answer = (await (await fetch(`${url}/version`)).json()) as { etcdcluster: string };
      if (answer.etcdcluster !== 'not_decided') return;
    } catch {
      // It does not listen yet.
    }
    if (performance.now() > deadline) throw new Error('waited in vain for etcd');
    await sleep(50);
  }
}

/** Each port has the nodes whose Patroni says yes, and ends the sessions of a node that no longer does. */
function haproxyConfiguration(nodes: readonly Node[], ports: Cluster['ports']): string {
  const listen = (name: keyof typeof ports, path: string, target: 'clients' | 'bouncer'): string[] => [
    `listen ${name}`,
    `  bind 127.0.0.1:${String(ports[name])}`,
    `  balance roundrobin`,
    `  option httpchk OPTIONS ${path}`,
    '  http-check expect status 200',
    '  default-server inter 500ms fastinter 250ms downinter 250ms rise 1 fall 2 on-marked-down shutdown-sessions',
    ...nodes.map(
      ({ name: node, network }) =>
        `  server ${node} 127.0.0.1:${String(network[target].port)} check port ${String(network.api.port)}`,
    ),
  ];
  return [
    'global',
    '  maxconn 300',
    '  log stdout format raw local0 notice',
    'defaults',
    '  log global',
    '  mode tcp',
    '  timeout connect 2s',
    '  timeout client 30m',
    '  timeout server 30m',
    '  timeout check 1s',
    ...listen('primary', '/primary', 'clients'),
    ...listen('standbys', '/replica', 'clients'),
    ...listen('bouncer', '/primary', 'bouncer'),
    '',
  ].join('\n');
}
