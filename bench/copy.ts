import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import { AsyncConnection, type AsyncCopy } from './package.js';
import type { Figures } from './findings.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const ROWS = 50_000;
/** The number of rows in each direction through one COPY while memory is measured. */
const MEMORY_ROWS = 5_000_000;

const COLUMNS = 'id int4, name text, big int8, ratio float8, even bool, at timestamptz';
const TYPES = ['int4', 'text', 'int8', 'float8', 'bool', 'timestamptz'];
type Row = readonly [id: number, name: string, big: bigint, ratio: number, even: boolean, at: Date];

const LEVEL = [{ peers: ['pg-copy-streams'], ratio: 1 }];
const FASTER = [{ peers: ['pg-copy-streams, csv by hand', 'pg-copy-streams, csv in blocks'], ratio: 1.5 }];

const START = Date.UTC(2024, 0, 1);
const rows: readonly Row[] = Array.from({ length: ROWS }, (_, i) => [
  i,
  `name of row ${String(i)}`,
  BigInt(i) * 1_000_000_007n,
  i / 7,
  i % 2 === 0,
  new Date(START + i * 1000),
]);

/** The line that users write by hand without `writeRow()`. */
function csvLine([id, name, big, ratio, even, at]: Row): string {
  return `${String(id)},"${name.replaceAll('"', '""')}",${String(big)},${String(ratio)},${String(even)},${at.toISOString()}\n`;
}

/** Rows into a table and out of it through COPY, and bytes that are encoded already. */
export async function copy({ dsn }: Setting): Promise<Race[]> {
  await using ours = await AsyncConnection.connect(dsn);
  const pgClient = new pg.Client(dsn);
  await pgClient.connect();
  const cur = ours.cursor();
  // Temporary tables keep the clients from affecting each other.
  const create = `CREATE TEMP TABLE bench_copy (${COLUMNS})`;
  const into = async (statement: string, write: (copy: AsyncCopy) => Promise<void>): Promise<void> => {
    await cur.withCopy(statement, write);
    if (cur.rowcount !== ROWS) throw new Error(`${String(cur.rowcount)} rows were stored`);
    await ours.rollback();
  };
  const pgInto = async (statement: string, source: Iterable<string | Buffer>): Promise<void> => {
    await pgClient.query('BEGIN');
    await pipeline(Readable.from(source), pgClient.query(copyStreams.from(statement)));
    await pgClient.query('ROLLBACK');
  };
  try {
    await ours.execute(create);
    await ours.commit();
    await pgClient.query(create);
    const lines = rows.map(csvLine);
    const blocks = lines.reduce<Buffer[]>((all, _, i) => {
      if (i % 1000 === 0) all.push(Buffer.from(lines.slice(i, i + 1000).join('')));
      return all;
    }, []);

    const written = await race(
      `write ${String(ROWS)} rows × 6 columns`,
      [
        {
          name: OURS,
          run: () =>
            into('COPY bench_copy FROM STDIN (FORMAT binary)', async (to) => {
              to.setTypes(TYPES);
              for (const row of rows) await to.writeRow(row);
            }),
        },
        {
          name: `${OURS}, text`,
          run: () =>
            into('COPY bench_copy FROM STDIN', async (to) => {
              for (const row of rows) await to.writeRow(row);
            }),
        },
        {
          name: 'pg-copy-streams, csv by hand',
          run: () => pgInto('COPY bench_copy FROM STDIN (FORMAT csv)', eachLine(rows)),
        },
        {
          name: 'pg-copy-streams, csv in blocks',
          run: () => pgInto('COPY bench_copy FROM STDIN (FORMAT csv)', inBlocks(rows)),
        },
      ],
      { goals: FASTER },
    );
    const piped = await race(
      `pipe ${String(ROWS)} rows in, bytes`,
      [
        {
          name: OURS,
          run: () =>
            into('COPY bench_copy FROM STDIN (FORMAT csv)', (to) =>
              pipeline(Readable.from(blocks), to.writable()),
            ),
        },
        { name: 'pg-copy-streams', run: () => pgInto('COPY bench_copy FROM STDIN (FORMAT csv)', blocks) },
      ],
      { goals: LEVEL },
    );

    await cur.withCopy('COPY bench_copy FROM STDIN (FORMAT csv)', (to) =>
      pipeline(Readable.from(blocks), to.writable()),
    );
    await pipeline(
      Readable.from(blocks),
      pgClient.query(copyStreams.from('COPY bench_copy FROM STDIN (FORMAT csv)')),
    );
    const out = 'COPY bench_copy TO STDOUT';
    const read = await race(
      `pipe ${String(ROWS)} rows out, bytes`,
      [
        { name: OURS, run: () => cur.withCopy(out, (from) => drained(from.readable())) },
        { name: 'pg-copy-streams', run: () => drained(pgClient.query(copyStreams.to(out))) },
      ],
      { goals: LEVEL },
    );
    const loaded = await race(`read ${String(ROWS)} rows, loaded`, [
      { name: OURS, run: () => cur.withCopy(`${out} (FORMAT binary)`, loadAll) },
      { name: `${OURS}, text`, run: () => cur.withCopy(out, loadAll) },
      {
        name: 'pg, SELECT',
        run: async () => {
          const { rows: all } = await pgClient.query({
            text: 'SELECT * FROM bench_copy',
            rowMode: 'array',
          });
          if (all.length !== ROWS) throw new Error('rows are missing');
        },
      },
    ]);
    return [written, piped, read, loaded];
  } finally {
    await pgClient.end();
  }
}

/** The memory that remains while millions of rows pass. */
export async function copyMemory({ dsn, quick }: Setting): Promise<Figures[]> {
  const count = quick ? ROWS : MEMORY_ROWS;
  await using conn = await AsyncConnection.connect(dsn);
  const cur = conn.cursor();
  await cur.execute(`CREATE TEMP TABLE bench_copy (${COLUMNS})`);
  const inGrowth = await growthDuring(async () => {
    await cur.withCopy('COPY bench_copy FROM STDIN (FORMAT binary)', async (to) => {
      to.setTypes(TYPES);
      for (let i = 0; i < count; i++) await to.writeRow(rows[i % ROWS]!);
    });
  });
  const outGrowth = await growthDuring(async () => {
    let got = 0;
    await cur.withCopy('COPY bench_copy TO STDOUT (FORMAT binary)', async (from) => {
      from.setTypes(TYPES);
      for await (const row of from.rows()) got += row.length / TYPES.length;
    });
    if (got !== count) throw new Error(`expected ${String(count)} rows, got ${String(got)}`);
  });
  await conn.rollback();
  return [
    {
      kind: 'figures',
      title: `resident memory grown by a COPY of ${String(count)} rows`,
      unit: 'MiB',
      values: [
        { name: `${OURS}, in`, value: inGrowth },
        { name: `${OURS}, out`, value: outGrowth },
      ],
    },
  ];
}

async function growthDuring(work: () => Promise<void>): Promise<number> {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  await work();
  clearInterval(timer);
  return (peak - before) / 1024 / 1024;
}

async function loadAll(from: AsyncCopy): Promise<void> {
  from.setTypes(TYPES);
  let count = 0;
  for await (const row of from.rows()) count += row.length / TYPES.length;
  if (count !== ROWS) throw new Error(`expected ${String(ROWS)} rows, got ${String(count)}`);
}

async function drained(stream: AsyncIterable<Buffer>): Promise<void> {
  let bytes = 0;
  for await (const piece of stream) bytes += piece.length;
  if (bytes === 0) throw new Error('there was nothing to read');
}

function* eachLine(all: Iterable<Row>): Generator<string> {
  for (const row of all) yield csvLine(row);
}

/** Pieces of about 64 KiB of lines. */
function* inBlocks(all: Iterable<Row>): Generator<string> {
  let block = '';
  for (const row of all) {
    block += csvLine(row);
    if (block.length > 65_536) {
      yield block;
      block = '';
    }
  }
  yield block;
}
