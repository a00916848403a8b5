import { INK } from '../../bench/adaptive-svg.js';
import { draw } from '../../bench/charts.js';
import { Counts } from './counts.js';
import type { DeployReport } from './deploy.js';
import type { OverloadReport } from './overload.js';
import type { SizeReport } from './sizes.js';
import type { StormReport } from './storm.js';

const WIDTH = 640;
const HEIGHT = 220;
const COLOURS = ['#1c7ed6', '#e8590c', '#2f9e44', '#9c36b5', '#e8a30c', '#e03131'];

interface Point {
  readonly x: number;
  readonly y: number;
  readonly line: string;
}

interface Axes {
  readonly x: string;
  readonly y: string;
  /** A horizontal line, and its label. */
  readonly limit?: { readonly at: number; readonly name: string };
  readonly isLogarithmic?: boolean;
}

/** A line for each name. */
function drawLines(points: readonly Point[], { x, y, limit, isLogarithmic = false }: Axes): Promise<string> {
  const names = [...new Set(points.map(({ line }) => line))];
  const scale = isLogarithmic ? { type: 'log' } : { zero: true };
  return draw({
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { values: points },
        mark: { type: 'line', strokeWidth: 2, interpolate: 'linear' },
        encoding: {
          x: { field: 'x', type: 'quantitative', title: x, axis: { grid: false, tickCount: 8 } },
          y: { field: 'y', type: 'quantitative', title: y, scale },
          color: {
            field: 'line',
            type: 'nominal',
            title: null,
            scale: { domain: names, range: COLOURS.slice(0, names.length) },
            legend: { columns: 3, labelLimit: 300 },
          },
        },
      },
      ...(limit === undefined
        ? []
        : [
            {
              data: { values: [limit] },
              mark: { type: 'rule', strokeDash: [4, 3], color: INK },
              encoding: { y: { field: 'at', type: 'quantitative' } },
            },
            {
              data: { values: [limit] },
              mark: { type: 'text', align: 'right', dy: -7, x: WIDTH, color: INK },
              encoding: { y: { field: 'at', type: 'quantitative' }, text: { field: 'name' } },
            },
          ]),
    ],
  });
}

/** The attempts to connect in the first seconds. */
export function drawStorms(
  reports: Readonly<Record<string, StormReport>>,
  capacity: number,
): Promise<string> {
  const SHOWN = 4 / Counts.WIDTH;
  const points = Object.entries(reports).flatMap(([line, { attempts }]) =>
    attempts.slice(0, SHOWN).map((count, i) => ({
      x: (i + 0.5) * Counts.WIDTH,
      y: Math.max(1, count) / Counts.WIDTH,
      line,
    })),
  );
  const axes = {
    x: 'seconds since the server accepts connections',
    y: 'attempts to connect a second',
    limit: { at: capacity, name: 'what one postmaster can start' },
    isLogarithmic: true,
  };
  return drawLines(points, axes);
}

export function drawThroughput(sizes: readonly SizeReport[]): Promise<string> {
  const points = sizes.map(({ workload, maxSize, throughput }) => ({
    x: maxSize,
    y: throughput,
    line: workload,
  }));
  return drawLines(points, { x: 'maxSize', y: 'transactions a second' });
}

/** How long the tasks of one workload wait, and hold a connection. */
export function drawTimes(sizes: readonly SizeReport[]): Promise<string> {
  const points = sizes.flatMap(({ maxSize, waited, held }) => [
    { x: maxSize, y: waited, line: 'waits for a connection' },
    { x: maxSize, y: held, line: 'holds a connection' },
  ]);
  return drawLines(points, { x: 'maxSize', y: 'seconds', isLogarithmic: true });
}

export function drawDeploys(reports: Readonly<Record<string, DeployReport>>, limit: number): Promise<string> {
  const points = Object.entries(reports).flatMap(([line, { connections }]) =>
    connections.map((y, i) => ({ x: (i + 1) * Counts.WIDTH, y, line: `limit for ${line}` })),
  );
  const axes = { x: 'seconds', y: 'connections', limit: { at: limit, name: '(20 + 5) × maxSize 10' } };
  return drawLines(points, axes);
}

export function drawOverloads(reports: readonly OverloadReport[]): Promise<string> {
  const points = reports.flatMap(({ name, waiting }) => waiting.map((y, i) => ({ x: i + 1, y, line: name })));
  return drawLines(points, { x: 'seconds (overload from 10 to 70)', y: 'requests waiting' });
}
