import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { AsyncConnection, dictRow, errors, registerTemporal, type TupleRow } from '../../src/index.js';
import { Temporal } from 'temporal-polyfill';
import { connect, dsn } from '../support/database.js';
import { differences, inChunks, sample } from './server-comparison.js';
import { arraysOf, reachableInstant, SCALARS } from './values.js';

// Once its columns are known, a prepared statement requests the binary format of some types, which must not be observable.

let connection: AsyncConnection;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  return () => connection.close();
});

const VALUES = 20_000;
const BINARY = ['int2', 'int4', 'oid', 'int8', 'timestamptz', 'bytea'];
const BINARY_ARRAYS = [...BINARY, 'bool', 'text', 'varchar', 'name', 'bpchar'];

/** The values of a query as loaded by an unprepared statement, and by a statement whose columns are known. */
async function bothWays(
  on: AsyncConnection,
  query: string,
  params: readonly unknown[],
): Promise<[text: TupleRow[], binary: TupleRow[]]> {
  const fetched = async (prepare: boolean): Promise<TupleRow[]> =>
    (await on.execute(query, params, { prepare })).fetchall();
  const text = await fetched(false);
  await fetched(true);
  return [text, await fetched(true)];
}

/** A query for the values in an array of texts. */
function textOf(type: string): string {
  return `SELECT t::${type} FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n`;
}

describe('a prepared statement loads the same as an unprepared one:', () => {
  it.each(BINARY)(`${String(VALUES)} values of %s`, async (type) => {
    const arbitrary = type === 'timestamptz' ? reachableInstant : SCALARS[type]!;
    const { values, seed } = sample(fc.option(arbitrary, { freq: 50 }), VALUES);
    await inChunks(values, async (chunk) => {
      const [text, binary] = await bothWays(connection, textOf(type), [chunk]);
      expect(text).toHaveLength(chunk.length);
      expect(binary, `seed ${String(seed)}`).toEqual(text);
      return [];
    });
  });

  it.each(BINARY_ARRAYS)(
    'arrays of %s, of up to three dimensions, with NULLs and lower bounds',
    async (type) => {
      const arbitrary = type === 'timestamptz' ? reachableInstant : (SCALARS[type] ?? SCALARS['text'])!;
      const { values, seed } = sample(arraysOf(arbitrary), VALUES / 8);
      await inChunks(values, async (chunk) => {
        const [text, binary] = await bothWays(connection, textOf(`${type}[]`), [
          chunk.map(({ literal }) => literal),
        ]);
        expect(binary, `seed ${String(seed)}`).toEqual(text);
        return [];
      });
    },
  );

  it('and the server accepts the loaded values as the same when they are sent back', async () => {
    connection.prepareThreshold = 0;
    try {
      for (const type of ['int8', 'bytea']) {
        const { values } = sample(SCALARS[type]!, VALUES / 4);
        expect(await differences(connection, type, values)).toEqual([]);
        expect(await differences(connection, type, values)).toEqual([]);
      }
    } finally {
      connection.prepareThreshold = 5;
    }
  });

  it.each(['SQL, DMY', 'German', 'Postgres, MDY', 'ISO'])('instants under DateStyle %s', async (style) => {
    const own = await connect({ autocommit: true });
    await own.execute("SELECT set_config('datestyle', %s, false)", [style]);
    const { values, seed } = sample(reachableInstant, 2000);
    const [text, binary] = await bothWays(own, textOf('timestamptz'), [values]);
    expect(text).toHaveLength(values.length);
    expect(binary, `seed ${String(seed)}`).toEqual(text);
  });

  it.each(['Asia/Kathmandu', 'America/St_Johns', 'Pacific/Apia'])(
    'instants in the time zone %s',
    async (zone) => {
      const own = await connect({ autocommit: true });
      await own.execute("SELECT set_config('timezone', %s, false)", [zone]);
      const { values, seed } = sample(reachableInstant, 2000);
      const [text, binary] = await bothWays(own, textOf('timestamptz'), [values]);
      expect(binary, `seed ${String(seed)}`).toEqual(text);
    },
  );

  it('bytea, whatever bytea_output is', async () => {
    const own = await connect({ autocommit: true });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    for (const output of ['escape', 'hex']) {
      await own.execute(`SET bytea_output = ${output}`);
      const [text, binary] = await bothWays(own, 'SELECT %s::bytea, %s::bytea', [bytes, Buffer.alloc(0)]);
      expect(binary).toEqual([[bytes, Buffer.alloc(0)]]);
      expect(text).toEqual(binary);
    }
  });

  it('object rows, streams and pipelines, too', async () => {
    const own = await connect({ autocommit: true, rowFactory: dictRow });
    own.prepareThreshold = 0;
    const query =
      "SELECT %s::int8 AS big, 'text' AS text, ARRAY[1, NULL, 3] AS numbers, NULL::int4 AS nothing";
    const row = { big: 7n, text: 'text', numbers: [1, null, 3], nothing: null };
    for (let i = 0; i < 3; i++) {
      expect(await (await own.execute(query, [7])).fetchall()).toEqual([row]);
      const streamed: unknown[] = [];
      for await (const one of own.cursor().stream(query, [7])) streamed.push(one);
      expect(streamed).toEqual([row]);
      await own.withPipeline(async () => {
        const cursors = await Promise.all([own.execute(query, [7]), own.execute(query, [7])]);
        for (const cursor of cursors) expect(await cursor.fetchall()).toEqual([row]);
      });
      const cursor = own.cursor();
      await cursor.executemany(query, [[7], [7]], { returning: true });
      expect(await cursor.fetchall()).toEqual([row]);
    }
  });
});

describe('a value that a Date cannot hold', () => {
  it.each(['infinity', '-infinity', '294276-12-31 23:59:59.999999+00', '275760-09-13 00:00:00.001+00'])(
    '%s fails a prepared statement with the same message',
    async (instant) => {
      const own = await connect({ autocommit: true });
      await own.execute("SET timezone = 'UTC'");
      const said: string[] = [];
      await own.execute('SELECT %s::text::timestamptz', ['2024-01-01'], { prepare: true });
      for (const prepare of [false, true]) {
        const failed = own.execute('SELECT %s::text::timestamptz', [instant], { prepare });
        await expect(failed).rejects.toBeInstanceOf(errors.DataError);
        said.push(await failed.then(() => '', String));
      }
      expect(said[0]).toContain(instant);
      expect(said[1]).toBe(said[0]);
    },
  );
});

describe('a registered loader', () => {
  it('receives the text of a prepared statement, too, also for arrays', async () => {
    const own = await connect({ autocommit: true });
    const query =
      "SELECT 12::int4, ARRAY[1, 2], 3::int8, timestamptz '2024-01-01 00:00+00', '\\x00ff'::bytea, ARRAY['a']";
    const plain = [12, [1, 2], 3n, new Date('2024-01-01'), Buffer.from([0, 255]), ['a']];
    const [text, binary] = await bothWays(own, query, []);
    expect([text, binary]).toEqual([[plain], [plain]]);

    own.adapters.registerLoader('int4', (value) => `int4 ${value}`);
    expect((await bothWays(own, query, []))[1]).toEqual([
      ['int4 12', ['int4 1', 'int4 2'], ...plain.slice(2)],
    ]);
    own.adapters.registerLoader('int8', Number);
    own.adapters.registerLoader('bytea', (value) => value);
    own.adapters.registerLoader('text[]', (value) => value);
    const [row] = (await bothWays(own, query, []))[1];
    expect([row![2], row![4], row![5]]).toEqual([3, '\\x00ff', '{a}']);

    const cursor = own.cursor();
    cursor.adapters.registerLoader('int4', (value) => `cursor's ${value}`);
    await cursor.execute(query, [], { prepare: true });
    expect((await cursor.fetchone())![0]).toBe("cursor's 12");
    expect((await (await own.execute(query, [], { prepare: true })).fetchone())![0]).toBe('int4 12');
  });

  it('applies to later statements, not to one in flight', async () => {
    const own = await connect({ autocommit: true });
    const query = 'SELECT 5::int4';
    await own.execute(query, [], { prepare: true });
    const cursor = own.cursor();
    const before = cursor.execute(query, [], { prepare: true });
    cursor.adapters.registerLoader('int4', (value) => `text ${value}`);
    expect(await (await before).fetchone()).toEqual([5]);
    expect(await (await cursor.execute(query, [], { prepare: true })).fetchone()).toEqual(['text 5']);
  });

  it('of Temporal makes instants of prepared statements, exact to the microsecond', async () => {
    const own = await connect({ autocommit: true });
    registerTemporal(own, { Temporal });
    const [text, binary] = await bothWays(own, "SELECT timestamptz '2024-01-01 00:00:00.123456+00'", []);
    expect(String((binary[0] as unknown[])[0])).toBe('2024-01-01T00:00:00.123456Z');
    expect(String((binary[0] as unknown[])[0])).toBe(String((text[0] as unknown[])[0]));
  });
});

describe('a prepared statement that has another result each time', () => {
  it.each([
    ['FETCH', 'FETCH ALL FROM moving'],
    ['EXECUTE', 'EXECUTE moving'],
  ])('%s returns the current columns and values', async (_, query) => {
    const own = await connect();
    const results = [
      ['1 AS a, 2 AS b', ['a', 'b'], [1, 2]],
      ["'x' AS text, 'y' AS other", ['text', 'other'], ['x', 'y']],
      ['3::int8 AS only', ['only'], [3n]],
      [
        "timestamptz '2024-01-01 00:00+00' AS at, NULL AS none, 7 AS seven",
        ['at', 'none', 'seven'],
        [new Date('2024-01-01'), null, 7],
      ],
    ] as const;
    for (let round = 0; round < 3; round++) {
      for (const [columns, names, row] of results) {
        await own.execute(
          query.startsWith('FETCH')
            ? `DECLARE moving CURSOR FOR SELECT ${columns}`
            : `PREPARE moving AS SELECT ${columns}`,
        );
        const cursor = await own.execute(query, undefined, { prepare: true });
        expect(cursor.description!.map(({ name }) => name)).toEqual(names);
        expect(await cursor.fetchall()).toEqual([row]);
        await own.execute(query.startsWith('FETCH') ? 'CLOSE moving' : 'DEALLOCATE moving');
      }
    }
  });
});
