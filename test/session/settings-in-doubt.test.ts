import { describe, expect, it } from 'vitest';
import { dictRow, errors, type AsyncConnection, type AsyncCursor } from '../../src/index.js';
import { connect } from '../support/database.js';

// The server reports a changed setting only before ReadyForQuery, but earlier values in the same answer, or in the same segment
// of a pipeline, already follow the new setting.

const DATE = "SELECT date '2024-02-01'";
const TEXT = "SELECT 'é'";

interface Setting {
  readonly begin: string;
  readonly query: string;
  readonly right: unknown;
  readonly changes: Readonly<Record<string, string>>;
}

const SETTINGS: Record<string, Setting> = {
  DateStyle: {
    begin: "SET datestyle TO 'SQL, DMY'",
    query: DATE,
    right: '2024-02-01',
    changes: {
      SET: "SET datestyle TO 'SQL, MDY'",
      'SET LOCAL': "SET LOCAL datestyle TO 'SQL, MDY'",
      RESET: 'RESET datestyle',
      'set_config()': "SELECT set_config('datestyle', 'SQL, MDY', false)",
      'a DO block': "DO $$ BEGIN PERFORM set_config('datestyle', 'SQL, MDY', false); END $$",
    },
  },
  client_encoding: {
    begin: 'SET client_encoding TO UTF8',
    query: TEXT,
    right: 'é',
    changes: {
      SET: 'SET client_encoding TO latin1',
      'SET LOCAL': 'SET LOCAL client_encoding TO latin1',
      'SET NAMES': "SET NAMES 'latin1'",
      'set_config()': "SELECT set_config('client_encoding', 'latin1', false)",
      'a DO block': "DO $$ BEGIN PERFORM set_config('client_encoding', 'latin1', false); END $$",
    },
  },
};

type Door = (conn: AsyncConnection, change: string, query: string) => Promise<unknown>;

async function first(cursor: AsyncCursor): Promise<unknown> {
  return ((await cursor.fetchone()) as unknown[] | null)?.[0];
}

const DOORS: Record<string, Door> = {
  'in one text': async (conn, change, query) => {
    const cursor = await conn.execute(`${change}; ${query}`);
    await cursor.setResult(-1);
    return first(cursor);
  },
  'in a pipeline': async (conn, change, query) => {
    let cursor!: AsyncCursor;
    await conn.withPipeline(async () => {
      await conn.execute(change);
      cursor = await conn.execute(query);
    });
    return first(cursor);
  },
  'in a pipeline, prepared': async (conn, change, query) => {
    await conn.execute(query, null, { prepare: true });
    let cursor!: AsyncCursor;
    await conn.withPipeline(async () => {
      await conn.execute(change, null, { prepare: true });
      cursor = await conn.execute(query, null, { prepare: true });
    });
    return first(cursor);
  },
  'one behind the other, at once': async (conn, change, query) => {
    const [, cursor] = await Promise.all([conn.execute(change), conn.execute(query)]);
    return first(cursor);
  },
};

describe.each(Object.keys(SETTINGS))('%s', (name) => {
  const { begin, query, right, changes } = SETTINGS[name]!;
  for (const autocommit of [true, false]) {
    for (const change of Object.keys(changes)) {
      it.each(Object.keys(DOORS))(
        `changed by ${change} %s gives the right value, or an error (autocommit: ${String(autocommit)})`,
        async (door) => {
          const conn = await connect({ autocommit: true });
          await conn.execute(begin);
          await conn.setAutocommit(autocommit);
          const outcome = await DOORS[door]!(conn, changes[change]!, query).catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(errors.DatabaseError);
          else expect(outcome).toBe(right);
          // No setting is in doubt after ReadyForQuery.
          await conn.rollback();
          await conn.setAutocommit(true);
          await conn.execute(begin);
          expect(await first(await conn.execute(query))).toBe(right);
        },
      );
    }
  }
});

describe('a text that is sent after a change of client_encoding', () => {
  it.each([true, false])('is stored unchanged, or refused (in a pipeline: %s)', async (isPipelined) => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE written (text text)');
    const write = async (): Promise<void> => {
      const change = conn.execute('SET client_encoding TO latin1');
      await Promise.allSettled([
        change,
        conn.execute('INSERT INTO written VALUES (%s)', ['é']),
        conn.execute("INSERT INTO written VALUES ('é')"),
        conn.cursor().executemany('INSERT INTO written VALUES (%s)', [['é'], ['é']]),
      ]);
    };
    await (isPipelined ? conn.withPipeline(write) : write()).catch(() => undefined);
    await conn.execute('SET client_encoding TO UTF8');
    for (const [text] of await (await conn.execute('SELECT text FROM written')).fetchall()) {
      expect(text).toBe('é');
    }
  });
});

describe('a function that changes client_encoding', () => {
  const CHANGE = `CREATE FUNCTION pg_temp.change() RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('client_encoding', 'latin1', false); RETURN 1; END $$`;

  async function changing(autocommit: boolean): Promise<AsyncConnection> {
    const conn = await connect({ autocommit: true });
    await conn.execute(CHANGE);
    await conn.execute('CREATE TEMP TABLE written (text text)');
    await conn.setAutocommit(autocommit);
    return conn;
  }

  const QUERY = 'SELECT pg_temp.change(), chr(233)';
  const READERS: Record<string, (conn: AsyncConnection) => Promise<unknown>> = {
    'a statement': (conn) => conn.execute(QUERY),
    'a prepared statement': (conn) => conn.execute(QUERY, null, { prepare: true }),
    'a statement with rows as objects': (conn) => conn.execute(QUERY, null, { rowFactory: dictRow }),
    'a text of several statements': (conn) => conn.execute(`SELECT 1; ${QUERY}`),
    'a name within a value': (conn) =>
      conn.execute('SELECT pg_temp.change(), jsonb_build_object(chr(233), 1)'),
    'a stream': async (conn) => {
      for await (const _ of conn.cursor().stream(QUERY));
    },
    'a pipeline': (conn) => conn.withPipeline(() => conn.execute(QUERY)),
    'a pipeline that stores a text': (conn) =>
      conn.withPipeline(async () => {
        await conn.execute('SELECT pg_temp.change()');
        await conn.execute('INSERT INTO written VALUES (%s)', ['é']);
      }),
    'a statement sent at once behind it': (conn) =>
      Promise.all([
        conn.execute('SELECT pg_temp.change()'),
        conn.execute('INSERT INTO written VALUES (%s)', ['é']),
      ]),
  };

  for (const autocommit of [true, false]) {
    it.each(Object.keys(READERS))(
      `makes %s raise an error in place of wrong characters (autocommit: ${String(autocommit)})`,
      async (reader) => {
        const conn = await changing(autocommit);
        await expect(READERS[reader]!(conn)).rejects.toBeInstanceOf(errors.NotSupportedError);
        await conn.rollback();
        await conn.execute('SET client_encoding TO UTF8');
        expect(await first(await conn.execute(TEXT))).toBe('é');
        await conn.rollback();
      },
    );
  }

  it('is no error where all texts are ASCII', async () => {
    const conn = await changing(true);
    expect(await first(await conn.execute('SELECT pg_temp.change()'))).toBe(1);
    expect(conn.info.encoding).toBe('LATIN1');
    await conn.execute('SET client_encoding TO UTF8');
    const deep = `${'['.repeat(4000)}1${']'.repeat(4000)}`;
    await conn.execute('SELECT pg_temp.change(), %s::json', [deep]);
  });
});
