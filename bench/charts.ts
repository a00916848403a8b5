import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { adaptiveSvg, BACKGROUND, FAINT, INK } from './adaptive-svg.js';
import type { Curve } from './findings.js';
import { OURS, type Race } from './race.js';

/** A colour for each client, the same in every chart and legible on both backgrounds. */
const COLOURS: Readonly<Record<string, string>> = {
  [OURS]: '#e8590c',
  postgres: '#1c7ed6',
  pg: '#2b8a3e',
  'pg, pipelining': '#74b816',
  'pg-promise': '#0ca678',
  slonik: '#9c36b5',
  psycopg: '#c2a000',
  asyncpg: '#e03131',
};
const OTHER = '#868e96';

/** Charts every workload's ratios: a point for each client, with a line from the first to the third quartile of its rounds. */
export function chartOfRaces(races: readonly Race[]): Promise<string> {
  const values = races.flatMap(({ workload, entries }) =>
    entries
      .filter(({ name, floor }) => name !== OURS && !floor)
      .map(({ name, ratio }) => ({
        workload,
        client: name in COLOURS ? name : 'another',
        name,
        low: ratio.low,
        ratio: ratio.median,
        high: ratio.high,
      })),
  );
  const clients = [...new Set(values.map(({ client }) => client))];
  const y = { field: 'workload', type: 'nominal', sort: null, title: null } as const;
  const color = {
    field: 'client',
    type: 'nominal',
    title: null,
    scale: { domain: clients, range: clients.map((client) => COLOURS[client] ?? OTHER) },
  } as const;
  return draw({
    data: { values },
    height: { step: 22 },
    width: 560,
    encoding: { y },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 2, opacity: 0.6 },
        encoding: {
          x: {
            field: 'low',
            type: 'quantitative',
            scale: { type: 'log' },
            title: 'time ÷ that of usingpg (to the right of 1 usingpg is faster)',
            axis: { values: [0.25, 0.5, 1, 2, 5, 10, 20, 50], format: '~g' },
          },
          x2: { field: 'high' },
          color,
        },
      },
      {
        mark: { type: 'point', filled: true, size: 55, opacity: 1 },
        encoding: { x: { field: 'ratio', type: 'quantitative', scale: { type: 'log' } }, color },
      },
      {
        data: { values: [{ one: 1 }] },
        mark: { type: 'rule', orient: 'vertical', strokeWidth: 2 },
        encoding: {
          x: { field: 'one', type: 'quantitative' },
          y: { value: 0 },
          color: { value: COLOURS[OURS] ?? OTHER },
        },
      },
    ],
  });
}

/** Charts a curve for each client, on logarithmic scales. */
export function chartOfCurve({ x, y, series }: Curve): Promise<string> {
  const values = series.flatMap(({ name, points }) =>
    points.map(([size, value]) => ({ client: name, size, value })),
  );
  const names = series.map(({ name }) => name);
  return draw({
    data: { values },
    width: 560,
    height: 260,
    mark: { type: 'line', point: true, strokeWidth: 2 },
    encoding: {
      x: { field: 'size', type: 'quantitative', title: x, scale: { type: 'log' } },
      y: { field: 'value', type: 'quantitative', title: y, scale: { type: 'log' } },
      color: {
        field: 'client',
        type: 'nominal',
        title: null,
        scale: { domain: names, range: names.map((name) => COLOURS[name] ?? OTHER) },
      },
    },
  });
}

/** The SVG of a chart by vega-lite, for readers of either colour scheme. */
export async function draw(spec: Record<string, unknown>): Promise<string> {
  const whole = {
    ...spec,
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: BACKGROUND,
    padding: 12,
    config: {
      font: 'sans-serif',
      view: { stroke: null },
      axis: {
        labelColor: INK,
        titleColor: INK,
        gridColor: FAINT,
        domainColor: FAINT,
        tickColor: FAINT,
        labelLimit: 420,
      },
      legend: { labelColor: INK, titleColor: INK, orient: 'bottom', columns: 5 },
    },
  } as unknown as TopLevelSpec;
  return adaptiveSvg(await new View(parse(compile(whole).spec), { renderer: 'none' }).toSVG());
}
