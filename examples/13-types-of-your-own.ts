import { AsyncConnection, TypeInfo } from '../src/index.js';
import { withDatabase } from './database.js';
import { geometry, type Geometry } from './geometry.js';
import { vector } from './vector.js';

// Types that the library does not know, with a codec for each: queries, prepared statements and COPY in both formats use it.

await withDatabase(async (dsn) => {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });

  await conn.execute('CREATE EXTENSION IF NOT EXISTS cube');
  const cube = (await TypeInfo.fetch(conn, 'cube'))!;
  cube.register(conn);
  conn.adapters.registerCodec('cube', vector);
  // For a query's parameter, the value's class determines its type.
  conn.adapters.registerDumper(Float64Array, (value) => ({ text: `(${value.join(',')})`, oid: cube.oid }));

  await conn.execute('CREATE TEMP TABLE embedding (id int, v cube)');
  const rows = Array.from({ length: 1000 }, (_, id) => [id, Float64Array.of(id, id / 2, -id)]);
  await conn.cursor().withCopy('COPY embedding FROM STDIN (FORMAT binary)', async (copy) => {
    copy.setTypes(['int4', 'cube']);
    for (const row of rows) await copy.writeRow(row);
  });
  const cur = await conn.execute('SELECT id, v FROM embedding ORDER BY v <-> %s LIMIT 3', [
    Float64Array.of(10, 5, -10),
  ]);
  console.log('the nearest vectors:');
  for await (const [id, v] of cur) console.log(`  ${String(id)}: [${(v as Float64Array).join(', ')}]`);

  const available = await conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'");
  if ((await available.fetchone()) === null) {
    console.log('PostGIS is not installed: no geometries');
    return;
  }
  await conn.execute('CREATE EXTENSION IF NOT EXISTS postgis');
  (await TypeInfo.fetch(conn, 'geometry'))!.register(conn);
  conn.adapters.registerCodec('geometry', geometry);
  await conn.execute('CREATE TEMP TABLE place (name text, area geometry)');
  await conn.cursor().withCopy('COPY place FROM STDIN (FORMAT binary)', async (copy) => {
    copy.setTypes(['text', 'geometry']);
    await copy.writeRow(['a point', { type: 'Point', coordinates: [13.4, 52.5], srid: 4326 }]);
    await copy.writeRow([
      'a triangle',
      {
        type: 'Polygon',
        coordinates: [
          [
            [0, 0],
            [1, 0],
            [0, 1],
            [0, 0],
          ],
        ],
      },
    ]);
  });
  const places = await conn.execute('SELECT name, area, ST_AsText(area) FROM place');
  console.log('places, as GeoJSON and as PostGIS has them:');
  for await (const [name, area, text] of places) {
    console.log(`  ${String(name)}: ${JSON.stringify(area as Geometry)} ${String(text)}`);
  }
});
