import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedFrom } from '../support/random.js';
import { warningsOf } from '../support/warnings.js';
import { Cluster, whyNoCluster } from './cluster.js';
import { existsSync } from 'node:fs';
import { processesIn } from './guard.js';
import type { Node } from './node.js';
import { Report, sharesOf } from './report.js';
import { Timelines } from './timelines.js';
import { READERS_LIFETIME, WAYS, Workload, type Read, type Way } from './workload.js';

const SEED = seedFrom('CLUSTER_SEED', Date.now() % 1_000_000);
/** Seconds after the new primary's readiness within which writes are back on a busy machine; 2 on an idle one. */
const BACK = 10;
/** Seconds after which the report says how a way has spent them. */
const AT_ONCE = 1;

const reason = whyNoCluster();
const isCi = process.env['CI'] !== undefined && process.env['CI'] !== '' && process.env['CI'] !== 'false';
// In CI nothing is skipped because a part is missing.
const mayBeSkipped = reason !== null && !(isCi && process.getuid?.() === 0);
if (mayBeSkipped) console.warn(`SKIPPED: the tests on a cluster, since ${reason}`);

describe.skipIf(mayBeSkipped)('on three nodes under Patroni', () => {
  let cluster: Cluster;
  let work: Workload;
  let home = '';
  const report = new Report();
  let timelines: Timelines;

  beforeAll(async () => {
    if (reason !== null) throw new Error(`the cluster can't be started: ${reason}`);
    cluster = await Cluster.start();
    home = cluster.home;
    timelines = new Timelines();
    work = await Workload.start(cluster, SEED);
  });

  afterAll(async () => {
    report.print(SEED);
    // A cluster that did not start has removed itself.
    if (home === '') return;
    await cluster[Symbol.asyncDispose]();
    expect(processesIn(home)).toEqual([]);
    expect(existsSync(home)).toBe(false);
  });

  /** Waits until each way writes on the primary that is ready since `since`, and the listener hears it. */
  async function allBack(event: string, since: number, gaps = 1): Promise<void> {
    await expect.poll(() => work.watch.primarySince(since)).not.toBeNull();
    const ready = work.watch.primarySince(since);
    const seconds = new Map<Way, number>();
    await expect
      .poll(() => {
        for (const way of WAYS) {
          const first = work.firstAcknowledged(way, ready!.at);
          if (first !== null) seconds.set(way, (first - ready!.at) / 1000);
        }
        return WAYS.filter((way) => !seconds.has(way)).map((way) => work.describe(way));
      })
      .toEqual([]);
    timelines.mark(`${ready!.node.name} is primary`, ready!.at);
    report.event(event, (ready!.at - since) / 1000, seconds);
    for (const [way, time] of seconds) {
      const picture = work.traces.get(way)!.between(since, ready!.at + time * 1000);
      if (time > AT_ONCE) report.explain(way, (ready!.at - since) / 1000, picture);
      expect(time, [way, ...picture].join('\n')).toBeLessThan(BACK);
    }
    await heard(ready!.node, gaps);
  }

  /** Waits until the listener has told `gaps` more gaps than before, and hears what the primary says. */
  let gapsTold = 0;
  async function heard(primary: Node, gaps: number): Promise<void> {
    await expect
      .poll(() => work.events.filter(({ type }) => type === 'gap').length)
      .toBeGreaterThanOrEqual(gapsTold + gaps);
    gapsTold = work.events.filter(({ type }) => type === 'gap').length;
    const payload = `said at ${String(performance.now())}`;
    await primary.query('SELECT pg_notify($1, $2)', ['cluster', payload]);
    await expect
      .poll(() => work.events.some((event) => event.type === 'notify' && event.payload === payload))
      .toBe(true);
  }

  it('a planned switchover takes the writes along', async () => {
    const former = await cluster.whole();
    const since = performance.now();
    timelines.begin('switchover', 'switchover');
    const { code, body } = await former.api('POST', '/switchover', { leader: former.name }, 60);
    expect(code, JSON.stringify(body)).toBe(200);
    await cluster.primary(former);
    await allBack('switchover', since);
  });

  it('a primary that is killed is followed by its standby', async () => {
    const former = await cluster.whole();
    const since = performance.now();
    timelines.begin('killed', 'the primary is killed');
    former.kill();
    await cluster.primary(former);
    await allBack('the primary is killed', since);
    former.start();
  });

  it('a primary that is frozen for longer than its lease is not written to when it goes on', async () => {
    const former = await cluster.whole();
    const since = performance.now();
    timelines.begin('frozen', 'the primary is frozen');
    former.freeze();
    try {
      await cluster.primary(former);
      await allBack('the primary is frozen', since);
    } finally {
      former.thaw();
    }
    const thawed = performance.now();
    timelines.mark('it goes on');
    await cluster.becomes(former, 'standby');
    await work.progress();
    report.stale('the frozen primary goes on', work.audits, thawed);
  });

  it('without etcd nothing is written, and reads go on', async () => {
    const former = await cluster.whole();
    timelines.begin('etcd', 'etcd is gone');
    await cluster.removeEtcd();
    await cluster.becomes(former, 'standby');
    const reads = work.reads.length;
    await expect
      .poll(() => work.reads.slice(reads).filter(({ port }) => port !== null).length)
      .toBeGreaterThan(50);
    const since = performance.now();
    cluster.restoreEtcd();
    timelines.mark('etcd is back');
    await cluster.primary();
    await allBack('etcd is back', since);
  });

  it('a rolling restart interrupts one node at a time', async () => {
    const primary = await cluster.whole();
    const standbys = cluster.nodes.filter((node) => node !== primary);
    timelines.begin('restart', 'rolling restart');
    for (const node of [...standbys, primary]) {
      await cluster.whole();
      const since = performance.now();
      timelines.mark(node.name);
      const { code, body } = await node.api('POST', '/restart', {}, 60);
      expect(code, JSON.stringify(body)).toBe(200);
      if (node !== primary) continue;
      await allBack('the primary is restarted', since);
    }
  });

  it('a primary whose network swallows everything is followed by its standby', async () => {
    const former = await cluster.whole();
    const since = performance.now();
    timelines.begin('silent', 'the network of the primary is gone');
    former.swallow();
    try {
      await cluster.primary(former);
      await allBack('the network of the primary is gone', since);
    } finally {
      former.heal();
    }
    timelines.mark('it is back');
    await cluster.becomes(former, 'standby');
    await work.progress();
  });

  it('reads go to both standbys in equal parts', async () => {
    const primary = await cluster.whole();
    await work.readers.drain();
    await sleep(500);
    const since = performance.now();
    // The connections choose their hosts at random, so only many of them are evenly shared.
    for (let i = 0; i < 25; i++) {
      await work.readers.drain();
      const reads = work.reads.length;
      await expect.poll(() => work.reads.length).toBeGreaterThan(reads + 60);
    }
    const shares = sharesOf(work.reads, since);
    report.shares('reads', shares, cluster);
    for (const node of cluster.nodes) {
      const share = shares.get(node.port) ?? 0;
      if (node === primary) expect(share).toBe(0);
      else expect(Math.abs(share - 0.5), `share of ${node.name}`).toBeLessThan(0.15);
    }
  });

  it('reads leave a standby that is gone, and come back to it within maxLifetime, or at a drain() by Patroni', async () => {
    const primary = await cluster.whole();
    const standby = cluster.nodes.find((node) => node !== primary)!;
    const isRead = (since: number): boolean =>
      work.reads.some(({ port, began }) => port === standby.port && began >= since);
    for (const way of ['maxLifetime', 'drain()'] as const) {
      if (way === 'drain()') cluster.onCallback = () => void work.readers.drain();
      await cluster.whole();
      await expect.poll(() => isRead(0)).toBe(true);
      timelines.begin(way === 'drain()' ? 'standby-drain' : 'standby', 'a standby is killed');
      standby.kill();
      const gone = performance.now();
      await cluster.becomes(standby, 'none');
      const left = performance.now();
      const since = (): Read[] => work.reads.filter(({ began }) => began >= left);
      await expect.poll(() => since().length).toBeGreaterThan(50);
      expect(since().some(({ port }) => port === standby.port)).toBe(false);
      report.failed('a standby is killed', work.reads, gone);
      standby.start();
      await cluster.becomes(standby, 'standby');
      const ready = performance.now();
      timelines.mark('it is back', ready);
      await expect.poll(() => isRead(ready)).toBe(true);
      const seconds =
        (work.reads.find(({ port, began }) => port === standby.port && began >= ready)!.ended - ready) / 1000;
      report.back(way, seconds);
      expect(seconds).toBeLessThan(READERS_LIFETIME + BACK);
    }
    cluster.onCallback = null;
  });

  it('loses and doubles no acknowledged transfer with a synchronous standby, and reads nothing from a demoted primary', async () => {
    const primary = await cluster.whole();
    // If a task's statement fails, the disposer of its scope cannot see the error.
    await warningsOf('USINGPG_UNCOMMITTED', () => work.stop());
    const { unknownCommitted, lost } = await work.bank.settle(primary.dsn);
    if (process.env['CLUSTER_DRAW'] !== undefined) await timelines.draw(cluster, work);
    report.bank('synchronous', work.bank, unknownCommitted, lost.length);
    expect(work.bank.violations, report.text).toEqual([]);
    expect(work.bank.count('acknowledged')).toBeGreaterThan(500);
    // A connection that is told once that its server is read-only is not lent again.
    for (const [connection, times] of work.refusals) expect(times, connection).toBe(1);
    // Behind PgBouncer a pool does not see to which server its sessions lead.
    const [behind, own] = [true, false].map((isBehind) =>
      work.audits.filter(({ pool }) => pool.includes('PgBouncer') === isBehind),
    ) as [Read[], Read[]];
    report.stale('audits behind PgBouncer', behind, 0);
    expect(own.filter(({ inRecovery }) => inRecovery)).toEqual([]);
  });

  it('counts what is lost with an asynchronous standby', async () => {
    await cluster.configure({ synchronous_mode: false });
    const former = await cluster.whole(false);
    work = await Workload.start(cluster, SEED + 1);
    await work.progress(20);
    // What the standbys no longer get is acknowledged all the same.
    former.network.peers.blackHole.add('up').add('down');
    await work.progress(20);
    former.kill();
    former.heal();
    const primary = await cluster.primary(former);
    await work.progress(20);
    await warningsOf('USINGPG_UNCOMMITTED', () => work.stop());
    const { unknownCommitted, lost } = await work.bank.settle(primary.dsn, true);
    report.bank('asynchronous', work.bank, unknownCommitted, lost.length);
    expect(lost.length).toBeGreaterThan(0);
    expect(work.bank.violations, report.text).toEqual([]);
  });
});
