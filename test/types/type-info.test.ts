import { describe, expect, it } from 'vitest';
import {
  adapters,
  AsyncConnection,
  CompositeInfo,
  EnumInfo,
  errors,
  MultirangeInfo,
  RangeInfo,
  registerEnum,
  registerHstore,
  registerMultirange,
  registerRange,
  sql,
  TypeInfo,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

describe('the information on a type', () => {
  it('is read from the catalogue', async () => {
    const conn = await connect();
    await conn.execute('CREATE TYPE pg_temp.card AS (value int, "Suit" text)');
    expect(await TypeInfo.fetch(conn, 'int4')).toEqual(
      new TypeInfo('int4', 23, 1007, { regtype: 'integer' }),
    );
    expect(await TypeInfo.fetch(conn, 'double precision')).toMatchObject({
      name: 'float8',
      oid: 701,
      arrayOid: 1022,
    });
    expect(await TypeInfo.fetch(conn, 'box')).toMatchObject({ delimiter: ';' });
    expect(await TypeInfo.fetch(conn, '"char"')).toMatchObject({ name: 'char', regtype: '"char"' });
    expect(await RangeInfo.fetch(conn, 'pg_catalog.numrange')).toEqual(
      new RangeInfo('numrange', 3906, 3907, { subtypeOid: 1700 }),
    );
    expect(await MultirangeInfo.fetch(conn, 'nummultirange')).toEqual(
      new MultirangeInfo('nummultirange', 4532, 6151, { rangeOid: 3906, subtypeOid: 1700 }),
    );
    expect(await CompositeInfo.fetch(conn, 'pg_temp.card')).toMatchObject({
      name: 'card',
      fieldNames: ['value', 'Suit'],
      fieldTypes: [23, 25],
    });
  });

  it('is found by a quoted name, and by an identifier', async () => {
    const conn = await connect();
    await conn.execute(`CREATE TYPE pg_temp."My ""Mood""" AS ENUM ('b', 'a"', '')`);
    const expected = { name: 'My "Mood"', labels: ['b', 'a"', ''] };
    expect(await EnumInfo.fetch(conn, `pg_temp."My ""Mood"""`)).toMatchObject(expected);
    expect(await EnumInfo.fetch(conn, sql.Identifier('pg_temp', 'My "Mood"'))).toMatchObject(expected);
    expect(await EnumInfo.fetch(conn, 'my_mood')).toBeNull();
  });

  it.each(['nope', 'nope.nope', 'pg_catalog.nope', '"INT4"'])(
    'is null for a missing type: %s',
    async (name) => {
      const conn = await connect();
      for (const info of [TypeInfo, RangeInfo, MultirangeInfo, CompositeInfo, EnumInfo]) {
        expect(await info.fetch(conn, name)).toBeNull();
      }
    },
  );

  it('is null for a type of another kind', async () => {
    const conn = await connect();
    for (const info of [RangeInfo, MultirangeInfo, CompositeInfo, EnumInfo]) {
      expect(await info.fetch(conn, 'int4')).toBeNull();
    }
  });

  it('opens no transaction, and leaves an open one unchanged', async () => {
    const conn = await connect();
    await TypeInfo.fetch(conn, 'int4');
    expect(conn.info.transactionStatus).toBe('IDLE');
    await conn.execute('CREATE TEMP TABLE kept (i int)');
    expect(await TypeInfo.fetch(conn, 'nope')).toBeNull();
    expect(conn.info.transactionStatus).toBe('INTRANS');
    await expect(TypeInfo.fetch(conn, 'a b c')).rejects.toThrow(errors.Error);
    expect(conn.info.transactionStatus).toBe('INTRANS');
    await conn.commit();
    await conn.execute('SELECT * FROM kept');
    await conn.rollback();
    await conn.setAutocommit(true);
    await TypeInfo.fetch(conn, 'int4');
    expect(conn.info.transactionStatus).toBe('IDLE');
    await conn.withTransaction(async () => {
      expect(await TypeInfo.fetch(conn, 'nope')).toBeNull();
      expect(conn.info.transactionStatus).toBe('INTRANS');
    });
  });

  it('cannot be read in a failed transaction, which can still be rolled back', async () => {
    const conn = await connect();
    await expect(conn.execute('SELECT 1/0')).rejects.toThrow(errors.DivisionByZero);
    await expect(TypeInfo.fetch(conn, 'int4')).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(conn.info.transactionStatus).toBe('INERROR');
    await conn.rollback();
    expect(await TypeInfo.fetch(conn, 'int4')).not.toBeNull();
  });

  it('is read with any loaders, dumpers and row factories of the connection', async () => {
    const conn = await connect({ rowFactory: () => () => 'row' });
    for (const type of ['text', 'text[]', 'oid', 'oid[]', 'name'])
      conn.adapters.registerLoader(type, () => 'loaded');
    conn.adapters.registerDumper('string', () => 'dumped');
    expect(await TypeInfo.fetch(conn, 'int4')).toMatchObject({ name: 'int4', oid: 23 });
    await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad')");
    expect(await EnumInfo.fetch(conn, 'pg_temp.mood')).toMatchObject({ labels: ['sad'] });
  });

  it('is read by several tasks at once, also during another task’s block', async () => {
    const conn = await connect();
    const names = async (): Promise<(string | undefined)[]> =>
      (await Promise.all(['int4', 'no_such_type', 'text'].map((name) => TypeInfo.fetch(conn, name)))).map(
        (info) => info?.name,
      );
    expect(await names()).toEqual(['int4', undefined, 'text']);
    let go = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      go = resolve;
    });
    const outside = started.then(names);
    await conn.withTransaction(async () => {
      await conn.execute('CREATE TEMP TABLE read_beside (id int)');
      go();
      expect(await outside).toEqual(['int4', undefined, 'text']);
      await conn.execute('INSERT INTO read_beside VALUES (1)');
    });
    const cursor = await conn.execute('SELECT count(*)::int FROM read_beside');
    expect(await cursor.fetchone()).toEqual([1]);
  });

  it('needs a connection', async () => {
    await expect(TypeInfo.fetch({} as never, 'int4')).rejects.toThrow(errors.ProgrammingError);
    const conn = await connect();
    await conn.close();
    await expect(TypeInfo.fetch(conn, 'int4')).rejects.toThrow(errors.Error);
  });

  it('of a domain has its base type, through nested domains', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE DOMAIN pg_temp.positive AS int CHECK (value > 0)');
    await conn.execute('CREATE DOMAIN pg_temp.small AS pg_temp.positive CHECK (value < 10)');
    const small = (await TypeInfo.fetch(conn, 'pg_temp.small'))!;
    expect(small.baseOid).toBe(23);
    expect((await TypeInfo.fetch(conn, 'int4'))!.baseOid).toBeNull();
    const query = "SELECT 5::pg_temp.small, '{5,NULL}'::pg_temp.small[]";
    const before = await (await conn.execute(query)).fetchone();
    expect(before).toEqual([5, '{5,NULL}']);
    small.register(conn);
    expect(await (await conn.execute(query)).fetchone()).toEqual([5, [5, null]]);
  });

  it('once registered, enables its arrays', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')");
    const query = "SELECT '{sad,NULL}'::pg_temp.mood[]";
    expect(await (await conn.execute(query)).fetchone()).toEqual(['{sad,NULL}']);
    (await TypeInfo.fetch(conn, 'pg_temp.mood'))!.register(conn);
    expect(await (await conn.execute(query)).fetchone()).toEqual([['sad', null]]);
    conn.adapters.registerLoader('mood', (text) => text.toUpperCase());
    expect(await (await conn.execute(query)).fetchone()).toEqual([['SAD', null]]);
  });

  it('once registered, is the displayed type of columns', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')");
    const query = "SELECT 'sad'::pg_temp.mood, '{sad}'::pg_temp.mood[]";
    const display = (cursor: AsyncCursor): string[] =>
      cursor.description!.map(({ typeDisplay }) => typeDisplay);
    const before = conn.cursor();
    const info = (await TypeInfo.fetch(conn, 'pg_temp.mood'))!;
    info.register(conn);
    await before.execute(query);
    expect(display(before)).toEqual([String(info.oid), String(info.arrayOid)]);
    expect(display(await conn.execute(query))).toEqual(['mood', 'mood[]']);
  });

  it('registered without a context applies to connections made later', async () => {
    const earlier = await connect();
    const name = `later_${String(process.pid)}`;
    new TypeInfo(name, 4_000_000_000, 4_000_000_001).register();
    expect(earlier.adapters.type(name)).toBeUndefined();
    const later = await connect();
    expect(later.adapters.type(name)).toMatchObject({ arrayOid: 4_000_000_001 });
    expect(adapters.type(4_000_000_000)?.name).toBe(name);
  });
});

describe('a registration', () => {
  it.each<[string, (info: null) => void, string]>([
    ['registerRange', (info) => { registerRange(info); }, 'RangeInfo'], // prettier-ignore
    ['registerMultirange', (info) => { registerMultirange(info); }, 'MultirangeInfo'], // prettier-ignore
    ['registerEnum', (info) => { registerEnum(info); }, 'EnumInfo'], // prettier-ignore
    ['registerHstore', (info) => { registerHstore(info); }, 'TypeInfo'], // prettier-ignore
  ])('by %s of null is refused with a hint', (name, register, info) => {
    for (const nothing of [null, undefined as unknown as null]) {
      expect(() => {
        register(nothing);
      }).toThrow(errors.ProgrammingError);
      expect(() => {
        register(nothing);
      }).toThrow(new RegExp(`${name}\\(\\) got no ${info}: is `));
    }
    expect(() => {
      register({} as never);
    }).toThrow(`needs a ${info}, got Object`);
  });
});

describe('an enum', () => {
  const setUp = async (): Promise<{ conn: AsyncConnection; info: EnumInfo }> => {
    const conn = await connect({ autocommit: true });
    await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'so so', 'happy \"!\"')");
    return { conn, info: (await EnumInfo.fetch(conn, 'pg_temp.mood'))! };
  };
  const one = async (conn: AsyncConnection, query: string, ...params: unknown[]): Promise<unknown> =>
    ((await (await conn.execute(query, params)).fetchone()) as unknown[])[0];

  it('has its labels in order', async () => {
    const { conn, info } = await setUp();
    expect(info.labels).toEqual(['sad', 'so so', 'happy "!"']);
    await conn.execute('CREATE TYPE pg_temp.none AS ENUM ()');
    expect((await EnumInfo.fetch(conn, 'pg_temp.none'))!.labels).toEqual([]);
  });

  it('loads as its labels, which can be sent', async () => {
    const { conn, info } = await setUp();
    registerEnum(info, conn);
    for (const label of info.labels) {
      expect(await one(conn, 'SELECT %s::pg_temp.mood', label)).toBe(label);
    }
    const all = [...info.labels, null];
    expect(await one(conn, 'SELECT %s::pg_temp.mood[]', all)).toEqual(all);
    expect(await one(conn, 'SELECT %s::pg_temp.mood[]', [all, all])).toEqual([all, all]);
    await expect(one(conn, 'SELECT %s::pg_temp.mood', 'nope')).rejects.toBeInstanceOf(
      errors.InvalidTextRepresentation,
    );
    // A label added later is treated like the others.
    await conn.execute("ALTER TYPE pg_temp.mood ADD VALUE 'new'");
    expect(await one(conn, "SELECT 'new'::pg_temp.mood")).toBe('new');
  });

  it('loads as the values of a TypeScript enum', async () => {
    const { conn, info } = await setUp();
    enum Mood {
      sad = 1,
      'so so' = 2,
      'happy "!"' = 3,
    }
    registerEnum(info, conn, { enum: Mood });
    expect(await one(conn, "SELECT ARRAY['sad', 'so so']::pg_temp.mood[]")).toEqual([
      Mood.sad,
      Mood['so so'],
    ]);
    enum Named {
      Sad = 'sad',
      Soso = 'so so',
    }
    registerEnum(info, conn, { enum: Named });
    expect(await one(conn, "SELECT 'so so'::pg_temp.mood")).toBe(Named.Soso);
    expect(await one(conn, 'SELECT %s::pg_temp.mood', Named.Sad)).toBe(Named.Sad);
    const error: unknown = await one(conn, `SELECT 'happy "!"'::pg_temp.mood`).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(/label 'happy "!"' of the enum mood/);
    expect(await one(conn, 'SELECT 1')).toBe(1);
  });

  it('is loaded and sent as the objects assigned to its labels', async () => {
    const { conn, info } = await setUp();
    class Mood {
      readonly score: number;
      constructor(score: number) {
        this.score = score;
      }
    }
    const [low, high] = [new Mood(-1), new Mood(1)];
    registerEnum(info, conn, {
      mapping: [
        [low, 'sad'],
        [high, 'happy "!"'],
      ],
    });
    expect(await one(conn, 'SELECT %s', high)).toBe(high);
    expect(await one(conn, 'SELECT %s', [high, null, low])).toEqual([high, null, low]);
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', [low])).toMatch(/mood\[\]$/);
    await expect(one(conn, 'SELECT %s', [low, new Mood(0)])).rejects.toThrow(
      /^\$1\[1\]: this Mood stands for no label/,
    );
    expect(() => {
      registerEnum(info, conn, { mapping: [[low, 'nope']] });
    }).toThrow(/has no label 'nope'; it has sad, so so/);

    await conn.execute("CREATE TYPE pg_temp.level AS ENUM ('none')");
    const none = new Mood(0);
    registerEnum(await EnumInfo.fetch(conn, 'pg_temp.level'), conn, { mapping: [[none, 'none']] });
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', none)).toMatch(/level$/);
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', low)).toMatch(/mood$/);
  });
});

describe('in a pipeline, a type', () => {
  it('can be fetched, too', async ({ skip }) => {
    const conn = (await connect({ autocommit: true })) as AsyncConnection & {
      withPipeline?: (fn: () => Promise<void>) => Promise<void>;
    };
    if (conn.withPipeline === undefined) {
      skip();
      return;
    }
    await conn.withPipeline(async () => {
      expect(await TypeInfo.fetch(conn, 'int4')).toMatchObject({ oid: 23 });
      expect(await TypeInfo.fetch(conn, 'nope')).toBeNull();
    });
    expect(conn.info.transactionStatus).toBe('IDLE');
  });
});

it('the name of a type must be valid', async () => {
  await using conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  await expect(TypeInfo.fetch(conn, 5 as never)).rejects.toThrow(errors.ProgrammingError);
});
