import { draw, type THEMES } from '../../bench/charts.js';
import type { Interval } from './recorder.js';
import type { Moment, Packet, PoolRecording } from './scenes.js';

type Theme = (typeof THEMES)['light'];

const WIDTH = 640;
const STATES = { connecting: '#e8a30c', idle: '#2f9e44', lent: '#1c7ed6' };
const OUTCOMES = { committed: '#1c7ed6', failed: '#e03131', 'outcome unknown': '#9c36b5' };

/** Seconds that a bar of ended transactions stands for. */
const BAR = 0.05;

/** A row for each connection, coloured by its state; below it the queue, and the transactions that ended. */
export function drawPool({ recorder, marks, ends }: PoolRecording, theme: Theme): Promise<string> {
  const last = Math.max(...recorder.intervals.map(({ to }) => to));
  const x = (field: string, title: string | null = null): object => ({
    field,
    type: 'quantitative',
    title,
    scale: { domain: [0, last], nice: false },
    axis: { tickCount: 8, format: '.1f', grid: false },
  });
  const panel = (height: number | object, layer: object[]): object => ({
    width: WIDTH,
    height,
    layer: [
      ...layer,
      {
        data: { values: marks },
        mark: { type: 'rule', strokeDash: [4, 3], color: theme.ink },
        encoding: { x: x('at') },
      },
    ],
  });
  const color = (field: string, colours: Readonly<Record<string, string>>): object => {
    const names = Object.keys(colours);
    return {
      field,
      type: 'nominal',
      title: null,
      scale: { domain: names, range: names.map((name) => colours[name]) },
    };
  };
  const outcomes = Object.fromEntries(
    Object.entries(OUTCOMES).filter(([outcome]) => ends.some(({ name }) => name === outcome)),
  );
  return draw(
    {
      spacing: 14,
      resolve: { scale: { color: 'independent', x: 'shared' } },
      vconcat: [
        panel({ step: 18 }, [
          {
            data: { values: visible(recorder.intervals, last / WIDTH) },
            mark: { type: 'bar', height: { band: 0.8 } },
            encoding: {
              x: x('from'),
              x2: { field: 'to' },
              y: { field: 'row', type: 'ordinal', title: 'connection' },
              color: color('state', STATES),
            },
          },
          {
            data: { values: marks },
            mark: { type: 'text', align: 'left', dx: 4, y: -8, color: theme.ink },
            encoding: { x: x('at'), text: { field: 'name' } },
          },
        ]),
        panel(70, [
          {
            data: { values: recorder.queue },
            mark: { type: 'area', interpolate: 'step-after', color: STATES.connecting, opacity: 0.7 },
            encoding: { x: x('at'), y: { field: 'waiting', type: 'quantitative', title: 'waiting' } },
          },
        ]),
        panel(70, [
          {
            data: { values: bars(ends) },
            mark: { type: 'rect', clip: true },
            encoding: {
              x: x('from', 'seconds'),
              x2: { field: 'to' },
              y: { field: 'count', type: 'quantitative', title: 'ended' },
              y2: { datum: 0 },
              color: color('name', outcomes),
            },
          },
        ]),
      ],
    },
    theme,
  );
}

/** What happened on a cluster within some seconds: connections of two pools, and what became of their statements. */
export interface ClusterRecording {
  /** The connections of the pool that writes, and of the pool that reads; `node` is null while one connects. */
  readonly connections: readonly {
    readonly pool: string;
    readonly intervals: readonly (Interval & { readonly node: string | null })[];
  }[];
  readonly marks: readonly Moment[];
  readonly transfers: readonly Moment[];
  readonly reads: readonly Moment[];
  /** The length of the recording, in seconds. */
  readonly seconds: number;
}

const NODES = { node1: '#1c7ed6', node2: '#2f9e44', node3: '#ae3ec9', connecting: STATES.connecting };

/** For each pool a row for each connection, coloured by its node and pale while it is idle; below them what ended, by outcome. */
export function drawCluster(recording: ClusterRecording, theme: Theme): Promise<string> {
  const { connections, marks, seconds } = recording;
  const x = (field: string, title: string | null = null): object => ({
    field,
    type: 'quantitative',
    title,
    scale: { domain: [0, seconds], nice: false },
    axis: { tickCount: 10, format: '.0f', grid: false },
  });
  const rules = {
    data: { values: marks },
    mark: { type: 'rule', strokeDash: [4, 3], color: theme.ink },
    encoding: { x: x('at') },
  };
  const color = (field: string, colours: Readonly<Record<string, string>>): object => ({
    field,
    type: 'nominal',
    title: null,
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
  });
  const rows = connections.map(({ pool, intervals }, i) => ({
    width: WIDTH,
    height: { step: 12 },
    layer: [
      {
        data: {
          values: visible(intervals, seconds / WIDTH).map((interval) => ({
            ...interval,
            node: interval.node ?? 'connecting',
          })),
        },
        mark: { type: 'bar', height: { band: 0.8 }, clip: true },
        encoding: {
          x: x('from'),
          x2: { field: 'to' },
          y: { field: 'row', type: 'ordinal', title: pool, axis: { labels: false, ticks: false } },
          color: color('node', NODES),
          opacity: {
            field: 'state',
            type: 'nominal',
            title: null,
            legend: null,
            scale: { domain: ['connecting', 'idle', 'lent'], range: [1, 0.55, 1] },
          },
        },
      },
      rules,
      ...(i > 0
        ? []
        : [
            {
              data: { values: marks },
              mark: { type: 'text', align: 'left', dx: 4, y: -8, color: theme.ink },
              encoding: { x: x('at'), text: { field: 'name' } },
            },
          ]),
    ],
  }));
  const ended = (title: string, moments: readonly Moment[], colours: Readonly<Record<string, string>>) => ({
    width: WIDTH,
    height: 60,
    layer: [
      {
        data: { values: bars(moments, 0.25) },
        mark: { type: 'rect', clip: true },
        encoding: {
          x: x('from', title === 'reads' ? 'seconds' : null),
          x2: { field: 'to' },
          y: { field: 'count', type: 'quantitative', title, stack: 'zero' },
          color: color('name', colours),
        },
      },
      rules,
    ],
  });
  return draw(
    {
      spacing: 12,
      resolve: { scale: { color: 'independent', x: 'shared' } },
      vconcat: [
        ...rows,
        ended('transfers', recording.transfers, OUTCOMES),
        ended('reads', recording.reads, { answered: '#2f9e44', failed: '#e03131' }),
      ],
    },
    theme,
  );
}

/** The intervals without those that are too short to be seen, which the one before covers; equal neighbours are one. */
function visible<I extends Interval>(intervals: readonly I[], least: number): I[] {
  const shown: I[] = [];
  for (const next of [...intervals].sort((a, b) => a.row - b.row || a.from - b.from)) {
    const before = shown.at(-1);
    const isNext = before?.row === next.row && next.from - before.to < least;
    if (isNext && (before.state === next.state || (next.state === 'idle' && next.to - next.from < least))) {
      shown[shown.length - 1] = { ...before, to: next.to };
    } else shown.push(next);
  }
  return shown;
}

/** How many transactions ended in each `width` seconds, by their outcome. */
function bars(
  ends: readonly Moment[],
  width = BAR,
): { from: number; to: number; name: string; count: number }[] {
  const counts = new Map<string, { from: number; to: number; name: string; count: number }>();
  for (const { at, name } of ends) {
    const from = Math.floor(at / width) * width;
    const key = `${name} ${String(from)}`;
    const bar = counts.get(key) ?? { from, to: from + width * 0.9, name, count: 0 };
    bar.count++;
    counts.set(key, bar);
  }
  return [...counts.values()];
}

/** Two times client and server, and between them a line for each packet, with the number of statements in it. */
export function drawMessages(packets: readonly Packet[], theme: Theme): Promise<string> {
  const values = packets.map(({ way, direction, statements, sent, arrived }) => ({
    way,
    from: sent * 1000,
    to: arrived * 1000,
    middle: (sent + arrived) * 500,
    start: direction === 'up' ? 0 : 1,
    end: direction === 'up' ? 1 : 0,
    half: 0.5,
    count: String(statements),
    what: direction === 'up' ? 'statements' : 'answers',
  }));
  const x = { type: 'quantitative', title: 'milliseconds', axis: { grid: false } };
  const y = {
    type: 'quantitative',
    title: null,
    scale: { domain: [1, 0], nice: false },
    axis: { values: [0, 1], labelExpr: "datum.value === 0 ? 'client' : 'server'" },
  };
  const color = {
    field: 'what',
    type: 'nominal',
    title: null,
    scale: { domain: ['statements', 'answers'], range: ['#1c7ed6', '#e8590c'] },
  };
  return draw(
    {
      data: { values },
      facet: {
        row: {
          field: 'way',
          type: 'nominal',
          title: null,
          sort: ['one by one', 'in a pipeline'],
          header: { labelColor: theme.ink, labelFontSize: 13 },
        },
      },
      spec: {
        width: WIDTH,
        height: 90,
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 2 },
            encoding: {
              x: { field: 'from', ...x },
              x2: { field: 'to' },
              y: { field: 'start', ...y },
              y2: { field: 'end' },
              color,
            },
          },
          {
            mark: { type: 'text', dx: 9, fontSize: 13, color: theme.ink },
            encoding: {
              x: { field: 'middle', ...x },
              y: { field: 'half', ...y },
              text: { field: 'count' },
            },
          },
        ],
      },
    },
    theme,
  );
}
