import { describe, expect, it } from 'vitest';
import { deploy, needed } from '../../tools/simulate/deploy.js';
import { overload, PATIENCE } from '../../tools/simulate/overload.js';
import { DEPLOYS, OVERLOADS, STORMS } from '../../tools/simulate/scenes.js';
import { SERVER } from '../../tools/simulate/server.js';
import { enough, sized, WORKLOADS } from '../../tools/simulate/sizes.js';
import { storm, type Storm, type StormReport } from '../../tools/simulate/storm.js';

// The scenes of `npm run simulate`, smaller: all times are those of a virtual clock, and all chance comes from a seed.

/** A tenth of the processes, before a server that takes ten times as long for each of their connections and transactions. */
const SCALE = 10;
const SMALL_SERVER = {
  ...SERVER,
  forking: SERVER.forking * SCALE,
  starting: SERVER.starting * SCALE,
  backlog: Math.ceil(SERVER.backlog / SCALE),
};
/** The connections that its postmaster can start in a second. */
const CAPACITY = 1 / SMALL_SERVER.forking;

function smaller(name: keyof typeof STORMS, change: Partial<Storm> = {}): Promise<StormReport> {
  const scene = STORMS[name]!;
  const { busy, elsewhere } = scene.transaction;
  return storm({
    ...scene,
    server: SMALL_SERVER,
    processes: scene.processes / SCALE,
    transaction: { busy: busy * SCALE, elsewhere },
    after: 12,
    ...change,
  });
}

describe('many pools that lose all connections at once', () => {
  it('ask for few more connections a second than the server can start, and have them all within ten seconds', async () => {
    const report = await smaller('sessions end');
    expect(report.peak).toBeLessThanOrEqual(1.7 * CAPACITY);
    expect(report.allServed).toBeLessThanOrEqual(1.5);
    expect(report.allFull).toBeLessThanOrEqual(10);
    expect(report.slowestStart).toBeLessThanOrEqual(0.4);
    expect([report.late, report.dropped]).toEqual([0, 0]);
    // The seed decides, so that any change of the pool's pacing is seen.
    expect(await smaller('sessions end')).toEqual(report);
  });

  it('would ask for several times as many without jitter', async () => {
    const { peak, slowestStart } = await smaller('sessions end');
    const without = await smaller('sessions end, no jitter');
    expect(without.peak).toBeGreaterThanOrEqual(3 * peak);
    expect(without.slowestStart).toBeGreaterThanOrEqual(2 * slowestStart);
  });

  it('ask for no more with a larger numWorkers, since they connect one at a time', async () => {
    const few = await smaller('sessions end');
    const many = await smaller('sessions end, numWorkers 10');
    expect(many.peak).toBeLessThanOrEqual(1.3 * few.peak);
    expect(many.dropped).toBe(0);
  });

  it('fill themselves in ten seconds where no requests come', async () => {
    const report = await smaller('sessions end, no requests');
    expect(report.peak).toBeLessThanOrEqual(1.3 * CAPACITY);
    expect(report.allFull).toBeLessThanOrEqual(10);
  });

  it('serve after an outage as soon as the server has done what has piled up', async () => {
    const scene = STORMS['down for 10 s']!;
    const report = await smaller('down for 10 s');
    // All requests of the outage and all connections, on what the usual load leaves of the processors.
    const work =
      scene.processes * (scene.outage * scene.rate * scene.transaction.busy + scene.size * SERVER.starting);
    const spare = SERVER.cores - scene.processes * scene.rate * scene.transaction.busy;
    expect(report.allServed).toBeLessThanOrEqual((1.2 * work) / spare);
    expect([report.late, report.dropped]).toEqual([0, 0]);
  });
});

describe('the size of a pool', () => {
  it.each(WORKLOADS.slice(0, 3).map((workload) => [workload.name, workload] as const))(
    'is enough at cores × held ÷ busy, for transactions that are %s',
    async (_name, workload) => {
      const size = enough(workload.transaction, SERVER.cores);
      const [half, full, double] = [
        await sized(workload, size / 2, 1),
        await sized(workload, size, 1),
        await sized(workload, size * 2, 1),
      ];
      const most = SERVER.cores / workload.transaction.busy;
      expect(half.throughput / most).toBeLessThan(0.55);
      expect(full.throughput / most).toBeGreaterThan(0.9);
      // Twice as many connections bring next to nothing, and hold everything for nearly twice as long.
      expect(double.throughput / full.throughput).toBeLessThan(1.1);
      expect(double.held / full.held).toBeGreaterThan(1.7);
    },
  );

  it('costs throughput above that where sessions are in each other’s way', async () => {
    const workload = WORKLOADS[3]!;
    const size = enough(workload.transaction, SERVER.cores);
    const full = await sized(workload, size, 1);
    const tooMany = await sized(workload, 100, 1);
    expect(tooMany.throughput).toBeLessThan(0.8 * full.throughput);
  });
});

describe('a rolling deploy', () => {
  it('never has more connections than the formula says, and loses no request with a limit of as many', async () => {
    const scene = DEPLOYS['old and new processes']!;
    const limit = needed(scene);
    expect(scene.maxConnections).toBe(limit);
    const report = await deploy(scene);
    expect(report.most).toBe(limit);
    expect([report.refused, report.unserved]).toEqual([0, 0]);
    expect(report.served).toBeGreaterThan(10_000);
  });

  it('is refused connections, and loses requests, where only the old processes were counted', async () => {
    const report = await deploy(DEPLOYS['old processes only']!);
    expect(report.refused).toBeGreaterThan(0);
    expect(report.unserved).toBeGreaterThan(0);
  });
});

describe('an overload of a minute', () => {
  it.each(OVERLOADS.map((scene) => [scene.name, scene] as const))(
    'ends its waiting within a minute, with the server at work: %s',
    async (_name, scene) => {
      const report = await overload(scene);
      expect(report.recovery).toBeLessThanOrEqual(60);
      expect(report.throughput).toBeGreaterThan(0.97);
      expect(report.waiting.at(-1)).toBeLessThan(20);
      // Answers come in time where a request gives up, or is refused, before it has waited for too long.
      if (scene.timeout > PATIENCE && scene.maxWaiting === 0) expect(report.goodput).toBeLessThan(0.3);
      else expect(report.goodput).toBeGreaterThan(0.97);
      if (scene.maxWaiting > 0) expect(report.worstWait).toBeLessThan(2);
    },
  );
});
