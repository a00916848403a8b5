import { INK } from '../../bench/adaptive-svg.js';
import { draw } from '../../bench/charts.js';
import type { Interval } from './recorder.js';
import type { Moment, Packet, PoolRecording } from './scenes.js';

const WIDTH = 640;
const STATES = { connecting: '#e8a30c', idle: '#2f9e44', lent: '#1c7ed6' };
const OUTCOMES = { committed: '#1c7ed6', failed: '#e03131', 'outcome unknown': '#9c36b5' };

/** Seconds that a bar of ended transactions stands for. */
const BAR = 0.05;

/** A row for each connection, coloured by its state; below it the queue, and the transactions that ended. */
export function drawPool({ recorder, marks, ends }: PoolRecording): Promise<string> {
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
        mark: { type: 'rule', strokeDash: [4, 3], color: INK },
        encoding: { x: x('at') },
      },
    ],
  });
  const outcomes = Object.fromEntries(
    Object.entries(OUTCOMES).filter(([outcome]) => ends.some(({ name }) => name === outcome)),
  );
  return draw({
    spacing: 14,
    resolve: { scale: { color: 'independent', x: 'shared' } },
    vconcat: [
      panel({ step: 18 }, [
        {
          data: { values: statesOf(recorder.intervals, last / WIDTH) },
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
          mark: { type: 'text', align: 'left', dx: 4, y: -8, color: INK },
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
          data: { values: counted(ends) },
          mark: { type: 'rect', clip: true },
          encoding: {
            x: x('from', 'seconds'),
            x2: { field: 'to' },
            y: { field: 'low', type: 'quantitative', title: 'ended' },
            y2: { field: 'high' },
            color: color('name', outcomes),
          },
        },
      ]),
    ],
  });
}

function color(field: string, colours: Readonly<Record<string, string>>): object {
  return {
    field,
    type: 'nominal',
    title: null,
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
    legend: { symbolOpacity: 1 },
  };
}

/** An interval of a connection to a node; null while one connects. */
type NodeInterval = Interval & { readonly node: string | null };

/** What happened on a cluster within some seconds: connections of two pools, and what became of their statements. */
export interface ClusterRecording {
  /** The connections of the pool that writes, and of the pool that reads. */
  readonly connections: readonly {
    readonly pool: string;
    readonly intervals: readonly NodeInterval[];
  }[];
  readonly marks: readonly Moment[];
  readonly transfers: readonly Moment[];
  readonly reads: readonly Moment[];
  /** The length of the recording, in seconds. */
  readonly seconds: number;
}

const NODES = { node1: '#1c7ed6', node2: '#2f9e44', node3: '#ae3ec9', connecting: STATES.connecting };

/** For each pool a row for each connection, coloured by its node, and pale while it is idle; below them what ended, by outcome. */
export function drawCluster(recording: ClusterRecording): Promise<string> {
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
    mark: { type: 'rule', strokeDash: [4, 3], color: INK },
    encoding: { x: x('at') },
  };
  const bars = (values: readonly object[], pool: string, opacity: number): object => ({
    data: { values },
    mark: { type: 'bar', height: { band: 0.8 }, clip: true, opacity },
    encoding: {
      x: x('from'),
      x2: { field: 'to' },
      y: { field: 'row', type: 'ordinal', title: pool, axis: { labels: false, ticks: false } },
      color: color('node', NODES),
    },
  });
  const rows = connections.map(({ pool, intervals }, i) => ({
    width: WIDTH,
    height: { step: 12 },
    layer: [
      bars(nodesOf(intervals, seconds / WIDTH), pool, 0.45),
      bars(workOf(intervals, seconds / WIDTH), pool, 1),
      rules,
      ...(i > 0
        ? []
        : [
            {
              data: { values: marks },
              mark: { type: 'text', align: 'left', dx: 4, y: -8, color: INK },
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
        data: { values: counted(moments, 0.25) },
        mark: { type: 'rect', clip: true },
        encoding: {
          x: x('from', title === 'reads' ? 'seconds' : null),
          x2: { field: 'to' },
          y: { field: 'low', type: 'quantitative', title },
          y2: { field: 'high' },
          color: color('name', colours),
        },
      },
      rules,
    ],
  });
  return draw({
    spacing: 12,
    resolve: { scale: { color: 'independent', x: 'shared' } },
    vconcat: [
      ...rows,
      ended('transfers', recording.transfers, OUTCOMES),
      ended('reads', recording.reads, { answered: '#2f9e44', failed: '#e03131' }),
    ],
  });
}

/** The states of connections, without idleness that is too short to be seen. */
function statesOf(intervals: readonly Interval[], pixel: number): Interval[] {
  const long = intervals.filter(({ state, from, to }) => state !== 'idle' || to - from >= pixel);
  return joined(long, pixel, ({ state }) => state);
}

/** When connections were those of a node, at work or not. */
function nodesOf(intervals: readonly NodeInterval[], pixel: number): NodeInterval[] {
  const connected = intervals.filter(({ node }) => node !== null);
  return joined(connected, pixel, ({ node }) => node!);
}

/** When connections were lent, or made; half a pixel at least. */
function workOf(intervals: readonly NodeInterval[], pixel: number): object[] {
  const busy = intervals.filter(({ state }) => state !== 'idle');
  return joined(busy, pixel, ({ node }) => node ?? 'connecting').map(({ row, node, from, to }) => ({
    row,
    node: node ?? 'connecting',
    from,
    to: Math.max(to, from + pixel / 2),
  }));
}

/** Neighbours of a row that look alike as one, with gaps that are shorter than `gap`. Those that look alike follow one another. */
function joined<I extends Interval>(
  intervals: readonly I[],
  gap: number,
  look: (interval: I) => string,
): I[] {
  const shown: I[] = [];
  for (const next of [...intervals].sort((a, b) => a.row - b.row || a.from - b.from)) {
    const before = shown.at(-1);
    if (before?.row === next.row && look(before) === look(next) && next.from - before.to < gap) {
      shown[shown.length - 1] = { ...before, to: Math.max(before.to, next.to) };
    } else shown.push(next);
  }
  // Their bars then are one path of the picture.
  return shown.sort((a, b) => a.row - b.row || (look(a) < look(b) ? -1 : look(a) > look(b) ? 1 : 0));
}

/** How many transactions ended in each `width` seconds: a bar for each outcome, one upon the other. */
function counted(ends: readonly Moment[], width = BAR): object[] {
  const bars = new Map<number, Map<string, number>>();
  for (const { at, name } of ends) {
    const bar = Math.floor(at / width);
    const counts = bars.get(bar) ?? new Map<string, number>();
    bars.set(bar, counts.set(name, (counts.get(name) ?? 0) + 1));
  }
  return [...bars].flatMap(([bar, counts]) => {
    let high = 0;
    return [...counts].sort().map(([name, count]) => {
      const low = high;
      high += count;
      return { from: bar * width, to: (bar + 0.9) * width, name, low, high };
    });
  });
}

/** Two times client and server, and between them a line for each packet, with the number of statements in it. */
export function drawMessages(packets: readonly Packet[]): Promise<string> {
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
  return draw({
    data: { values },
    facet: {
      row: {
        field: 'way',
        type: 'nominal',
        title: null,
        sort: ['one by one', 'in a pipeline'],
        header: { labelColor: INK, labelFontSize: 13 },
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
          mark: { type: 'text', dx: 9, fontSize: 13, color: INK },
          encoding: {
            x: { field: 'middle', ...x },
            y: { field: 'half', ...y },
            text: { field: 'count' },
          },
        },
      ],
    },
  });
}
