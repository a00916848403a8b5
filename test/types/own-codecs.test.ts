import { beforeAll, describe, expect, test } from 'vitest';
import { geometry, type Geometry } from '../../examples/geometry.js';
import { vector } from '../../examples/vector.js';
import { adapters, errors, TypeInfo, type AsyncConnection, type Codec } from '../../src/index.js';
import { ByteWriter } from '../../src/types/byte-writer.js';
import { admin, connect } from '../support/database.js';

beforeAll(async () => {
  await admin('CREATE EXTENSION IF NOT EXISTS cube');
});

async function connectWith(codec: Codec<Float64Array>): Promise<AsyncConnection> {
  const conn = await connect();
  (await TypeInfo.fetch(conn, 'cube'))!.register(conn);
  conn.adapters.registerCodec('cube', codec);
  await conn.execute('CREATE TYPE pg_temp.located AS (name text, at cube)');
  return conn;
}

const { readText } = vector;
const TEXT_ONLY: Codec<Float64Array> = {
  readText,
  takes: vector.takes,
  writeText: (value) => vector.writeText!(value, ''),
};
const V = Float64Array.of(1, -2.5, 1e-7);
const W = Float64Array.of(0, 0, 0);

describe("a codec of a user's", () => {
  test.each(['text', 'binary'])(
    'reads and writes the rows of a COPY in the %s format, alone and in arrays',
    async (format) => {
      const conn = await connectWith(vector);
      const rows = [
        [V, [V, null, W]],
        [null, []],
        [W, [[V], [W]]],
      ];
      await conn.execute('CREATE TEMP TABLE copied (v cube, list cube[])');
      const cur = conn.cursor();
      await cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['cube', 'cube[]']);
        for (const row of rows) await copy.writeRow(row);
      });
      const read: unknown[] = [];
      await cur.withCopy(`COPY copied TO STDOUT (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['cube', 'cube[]']);
        for await (const row of copy.rows()) read.push(row);
      });
      expect(read).toEqual(rows);
      for (const prepare of [false, true, true]) {
        expect(await (await conn.execute('SELECT * FROM copied', [], { prepare })).fetchall()).toEqual(rows);
      }
    },
  );

  test('without a binary format receives the text, and is refused in a binary COPY', async () => {
    const conn = await connectWith(TEXT_ONLY);
    await conn.execute('CREATE TEMP TABLE copied (v cube)');
    await conn.cursor().withCopy('COPY copied FROM STDIN', async (copy) => {
      copy.setTypes(['cube']);
      await copy.writeRow([V]);
    });
    for (const prepare of [false, true, true]) {
      expect(await (await conn.execute('SELECT v FROM copied', [], { prepare })).fetchall()).toEqual([[V]]);
    }
    const writing = conn.cursor().withCopy('COPY copied FROM STDIN (FORMAT binary)', (copy) => {
      copy.setTypes(['cube']);
      return Promise.resolve();
    });
    await expect(writing).rejects.toThrow(/the type cube can't be written in the binary format here/);
    await conn.rollback();
  });

  test('for text only has the binary format by way of text, if the library knows that format', async () => {
    const conn = await connect();
    class Money {
      readonly cents: bigint;
      constructor(cents: bigint) {
        this.cents = cents;
      }
    }
    conn.adapters.registerCodec<Money>('numeric', {
      readText: (bytes, start, end) =>
        new Money(BigInt(bytes.toString('latin1', start, end).replace('.', ''))),
      takes: (value) => value instanceof Money,
      writeText: ({ cents }) => `${String(cents / 100n)}.${String(cents % 100n).padStart(2, '0')}`,
    });
    conn.adapters.registerCodec('int4', {
      readText: (bytes, start, end) => `the ${bytes.toString('latin1', start, end)}`,
    });
    await conn.execute('CREATE TEMP TABLE copied (price numeric(9, 2), n int4)');
    for (const format of ['text', 'binary']) {
      const cur = conn.cursor();
      await cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['numeric', 'int4']);
        await copy.writeRow([new Money(1250n), 7]);
      });
      await cur.withCopy(`COPY copied TO STDOUT (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['numeric', 'int4']);
        expect(await copy.readRow()).toEqual([new Money(1250n), 'the 7']);
      });
    }
  });

  test('takes precedence over the dumper of the class in a COPY, whose type is known, but not in a query', async () => {
    const conn = await connectWith(vector);
    conn.adapters.registerDumper(Float64Array, () => '(7)');
    await conn.execute('CREATE TEMP TABLE copied (v cube)');
    for (const format of ['text', 'binary']) {
      await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['cube']);
        await copy.writeRow([V]);
      });
    }
    await conn.execute('INSERT INTO copied VALUES (%s)', [V]);
    expect(await (await conn.execute('SELECT v FROM copied')).fetchall()).toEqual([
      [V],
      [V],
      [Float64Array.of(7)],
    ]);
  });

  test('is replaced by a loader registered later, and replaces an earlier one', async () => {
    const conn = await connectWith(vector);
    const load = async (): Promise<unknown> =>
      (await (await conn.execute("SELECT '(1,2)'::cube", [], { prepare: true })).fetchone())![0];
    conn.adapters.registerLoader('cube', (text) => text);
    for (let i = 0; i < 3; i++) expect(await load()).toBe('(1, 2)');
    conn.adapters.registerCodec('cube', vector);
    for (let i = 0; i < 3; i++) expect(await load()).toEqual(Float64Array.of(1, 2));
  });

  test('that throws fails its operation, naming row and column; the connection stays usable', async () => {
    const fail = (): never => {
      throw new Error('out of order');
    };
    const conn = await connectWith({
      ...vector,
      preferBinary: undefined,
      readText: fail,
      readBinary: fail,
      writeBinary: fail,
    });
    await conn.execute('CREATE TEMP TABLE copied (v cube)');
    await conn.execute("INSERT INTO copied VALUES ('(1)')");
    await conn.commit();
    await expect(conn.execute('SELECT v FROM copied')).rejects.toThrow(/a loader failed .*: out of order/);
    await conn.rollback();
    for (const format of ['text', 'binary']) {
      const reading = conn.cursor().withCopy(`COPY copied TO STDOUT (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['cube']);
        await copy.readRow();
      });
      await expect(reading).rejects.toThrow(new errors.DataError('row 1, column 1: out of order'));
      await conn.rollback();
    }
    const writing = conn.cursor().withCopy('COPY copied FROM STDIN (FORMAT binary)', async (copy) => {
      copy.setTypes(['cube']);
      await copy.writeRow([V]);
    });
    await expect(writing).rejects.toThrow(
      "row 1, column 1: the codec of the value's type failed: Error: out of order",
    );
  });

  test.each<[unknown, RegExp]>([
    [null, /expected a codec to be an object, got null/],
    [{}, /expected readText of a codec to be a function, got undefined/],
    [{ readText, readBinary: 5 }, /expected readBinary of a codec to be a function, got number/],
    [{ readText, writeText: String }, /needs takes\(\)/],
  ])('that is invalid is refused: %o', (codec, message) => {
    expect(() => {
      adapters.clone().registerCodec('point', codec as Codec);
    }).toThrow(message);
  });
});

describe('the codec of geometries', () => {
  const GEOMETRIES: readonly (readonly [string, Geometry])[] = [
    ['POINT(1 2)', { type: 'Point', coordinates: [1, 2] }],
    ['SRID=4326;POINT(13.4 52.5)', { type: 'Point', coordinates: [13.4, 52.5], srid: 4326 }],
    ['POINT Z (1 2 3)', { type: 'Point', coordinates: [1, 2, 3] }],
    ['POINT EMPTY', { type: 'Point', coordinates: [] }],
    [
      'LINESTRING(0 0,1 1)',
      {
        type: 'LineString',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    ],
    [
      'POLYGON((0 0,1 0,0 1,0 0))',
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
    ],
    [
      'MULTIPOINT(0 0,1 1)',
      {
        type: 'MultiPoint',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    ],
    [
      'MULTILINESTRING((0 0,1 1))',
      {
        type: 'MultiLineString',
        coordinates: [
          [
            [0, 0],
            [1, 1],
          ],
        ],
      },
    ],
    [
      'MULTIPOLYGON(((0 0,1 0,0 1,0 0)))',
      {
        type: 'MultiPolygon',
        coordinates: [
          [
            [
              [0, 0],
              [1, 0],
              [0, 1],
              [0, 0],
            ],
          ],
        ],
      },
    ],
    [
      'GEOMETRYCOLLECTION(POINT(1 2))',
      { type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [1, 2] }] },
    ],
  ];

  test('reads PostGIS’s bytes of a point, with its reference system, and writes the same bytes', () => {
    const bytes = Buffer.from('0101000020e6100000000000000000f03f0000000000000040', 'hex');
    const point = { type: 'Point', coordinates: [1, 2], srid: 4326 };
    expect(geometry.readBinary!(bytes, 0, bytes.length)).toEqual(point);
    const text = Buffer.from(geometry.writeText!(point, '')!);
    expect(geometry.readText(text, 0, text.length)).toEqual(point);
  });

  test.each(GEOMETRIES)('round-trips %s', (_, value) => {
    const out = new ByteWriter();
    geometry.writeBinary!(value, out, '');
    expect(geometry.readBinary!(out.bytes, 0, out.length)).toEqual(value);
  });

  test('is equal for PostGIS, if that is installed', async (context) => {
    const available = await admin("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'");
    if (available.length === 0) context.skip();
    await admin('CREATE EXTENSION IF NOT EXISTS postgis');
    const conn = await connect();
    (await TypeInfo.fetch(conn, 'geometry'))!.register(conn);
    conn.adapters.registerCodec('geometry', geometry);
    await conn.execute('CREATE TEMP TABLE copied (n int, g geometry)');
    for (const format of ['text', 'binary']) {
      await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['int4', 'geometry']);
        for (const [n, [, value]] of GEOMETRIES.entries()) await copy.writeRow([n, value]);
      });
    }
    for (const [n, [text, value]] of GEOMETRIES.entries()) {
      const cur = await conn.execute(
        'SELECT g, ST_OrderingEquals(g, %s::geometry) FROM copied WHERE n = %s',
        [text, n],
      );
      expect(await cur.fetchall()).toEqual([
        [value, true],
        [value, true],
      ]);
    }
  });
});
