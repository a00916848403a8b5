import { draw, type THEMES } from '../../bench/charts.js';
import type { Packet, PoolRecording } from './scenes.js';

type Theme = (typeof THEMES)['light'];

const WIDTH = 640;
const STATES = { connecting: '#e8a30c', idle: '#2f9e44', 'lent out': '#1c7ed6' };
const OUTCOMES = { committed: '#1c7ed6', failed: '#e03131', 'outcome unknown': '#9c36b5' };

/** A row for each connection, coloured by its state; below it the queue, and the transactions that ended. */
export function drawPool({ recorder, marks, ends }: PoolRecording, theme: Theme): Promise<string> {
  const last = recorder.now;
  const x = (title: string | null): object => ({
    type: 'quantitative',
    title,
    scale: { domain: [0, Math.max(...recorder.intervals.map(({ to }) => to), 0.1)], nice: false },
  });
  const markLayers = [
    {
      data: { values: marks },
      mark: { type: 'rule', strokeDash: [4, 3], color: theme.ink },
      encoding: { x: { field: 'at', type: 'quantitative' } },
    },
  ];
  const outcomes = (Object.keys(OUTCOMES) as (keyof typeof OUTCOMES)[]).filter((outcome) =>
    ends.some(({ name }) => name === outcome),
  );
  return draw(
    {
      spacing: 14,
      resolve: { scale: { color: 'independent', x: 'shared' } },
      vconcat: [
        {
          width: WIDTH,
          height: { step: 18 },
          layer: [
            {
              data: { values: recorder.intervals },
              mark: { type: 'bar', height: { band: 0.8 } },
              encoding: {
                x: { field: 'from', ...x(null) },
                x2: { field: 'to' },
                y: { field: 'row', type: 'ordinal', title: 'connection' },
                color: {
                  field: 'state',
                  type: 'nominal',
                  title: null,
                  scale: { domain: Object.keys(STATES), range: Object.values(STATES) },
                },
              },
            },
            ...markLayers,
            {
              data: { values: marks },
              mark: { type: 'text', align: 'left', dx: 4, y: -8, color: theme.ink },
              encoding: { x: { field: 'at', type: 'quantitative' }, text: { field: 'name' } },
            },
          ],
        },
        {
          width: WIDTH,
          height: 70,
          layer: [
            {
              data: { values: [...recorder.queue, { at: last, waiting: recorder.queue.at(-1)!.waiting }] },
              mark: { type: 'area', interpolate: 'step-after', color: STATES.connecting, opacity: 0.7 },
              encoding: {
                x: { field: 'at', ...x(null) },
                y: { field: 'waiting', type: 'quantitative', title: 'waiting' },
              },
            },
            ...markLayers,
          ],
        },
        {
          width: WIDTH,
          height: 70,
          layer: [
            {
              data: { values: ends },
              mark: { type: 'bar' },
              encoding: {
                x: { field: 'at', bin: { step: 0.05 }, ...x('seconds') },
                y: { aggregate: 'count', type: 'quantitative', title: 'ended' },
                color: {
                  field: 'name',
                  type: 'nominal',
                  title: null,
                  scale: { domain: outcomes, range: outcomes.map((outcome) => OUTCOMES[outcome]) },
                },
              },
            },
            ...markLayers,
          ],
        },
      ],
    },
    theme,
  );
}

/** Two times client and server, and between them a line for each packet. */
export function drawMessages(packets: readonly Packet[], theme: Theme): Promise<string> {
  const values = packets.map(({ way, direction, sent, arrived }) => ({
    way,
    from: sent * 1000,
    to: arrived * 1000,
    start: direction === 'up' ? 'client' : 'server',
    end: direction === 'up' ? 'server' : 'client',
    what: direction === 'up' ? 'statements' : 'answers',
  }));
  const y = { type: 'ordinal', title: null, scale: { domain: ['client', 'server'], padding: 0.05 } };
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
        height: 110,
        mark: { type: 'rule', strokeWidth: 2 },
        encoding: {
          x: { field: 'from', type: 'quantitative', title: 'milliseconds' },
          x2: { field: 'to' },
          y: { field: 'start', ...y },
          y2: { field: 'end' },
          color: {
            field: 'what',
            type: 'nominal',
            title: null,
            scale: { domain: ['statements', 'answers'], range: ['#1c7ed6', '#e8590c'] },
          },
        },
      },
    },
    theme,
  );
}
