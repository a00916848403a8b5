import { beforeAll, describe, expect, it } from 'vitest';
import { errors, scalarRow, TransactionStatus, type AsyncConnection } from '../../src/index.js';
import { admin, connect, rejection } from '../support/database.js';

/** The texts of the server's prepared statements, in order. */
async function prepared(connection: AsyncConnection): Promise<string[]> {
  const cursor = await connection.execute('select statement from pg_prepared_statements', undefined, {
    rowFactory: scalarRow<string>,
    prepare: false,
  });
  return (await cursor.fetchall()).sort();
}

async function times(count: number, act: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await act(i);
}

describe('a statement', () => {
  it('is prepared when it is executed for the sixth time, with parameters or without', async () => {
    const connection = await connect({ autocommit: true });
    await times(5, () => connection.execute('select %s::int', [1]));
    await times(5, () => connection.execute('select 1 as one'));
    expect(await prepared(connection)).toEqual([]);
    await connection.execute('select %s::int', [2]);
    await connection.execute('select 1 as one');
    expect(await prepared(connection)).toEqual(['select $1::int', 'select 1 as one']);
    const cursor = await connection.execute('select 1 as one');
    expect([await cursor.fetchone(), cursor.description?.[0]?.name]).toEqual([[1], 'one']);
  });

  it('is prepared separately for different parameter types', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    for (const value of [1, 100_000, 'x', 2]) await connection.execute('select %s', [value]);
    expect(await prepared(connection)).toHaveLength(3);
  });

  it('is prepared at once, or not at all, with the option `prepare`', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    await connection.execute('select 1', undefined, { prepare: false });
    await connection.execute('select %s', [1], { prepare: false });
    expect(await prepared(connection)).toEqual([]);
    connection.prepareThreshold = 5;
    await connection.execute('select 1', undefined, { prepare: true });
    await connection.execute('select %s', [1], { prepare: true });
    expect(await prepared(connection)).toEqual(['select $1', 'select 1']);
  });

  it('consisting of several is never prepared', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    await times(3, async () => {
      const cursor = await connection.execute('select 1; select 2');
      expect([await cursor.fetchone(), await cursor.nextset(), await cursor.fetchone()]).toEqual([
        [1],
        true,
        [2],
      ]);
    });
    expect(await prepared(connection)).toEqual([]);
  });

  it('with an error fails those sent after it, including repetitions of it, as in any failed transaction', async () => {
    const connection = await connect();
    connection.prepareThreshold = 0;
    await connection.execute('select 1');
    const wrong = 'select no_such_column, %s::int';
    const [first, ...others] = await Promise.all(
      [wrong, wrong, 'select 1'].map((query) =>
        rejection(connection.execute(query, query === wrong ? [1] : undefined)),
      ),
    );
    expect(first).toBeInstanceOf(errors.UndefinedColumn);
    for (const other of others) expect(other).toBeInstanceOf(errors.InFailedSqlTransaction);
  });

  it('is not counted for ever: the total length of counted texts is bounded', async () => {
    const connection = await connect({ autocommit: true });
    for (let i = 0; i < 5; i++) await connection.execute('select 1');
    // Texts of about 60 kB; a dozen of them evict the first.
    for (let i = 0; i < 12; i++) await connection.execute(`select ${String(i)} /* ${'x'.repeat(60_000)} */`);
    await connection.execute('select 1');
    expect(await prepared(connection)).toEqual([]);
    for (let i = 0; i < 5; i++) await connection.execute('select 1');
    expect(await prepared(connection)).toEqual(['select 1']);
  });
});

describe('the statements kept on the server', () => {
  it('never exceed preparedMax, whatever is executed', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    let most = 0;
    await times(50, async (round) => {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          connection.execute(`select ${String(round * 100 + i)}, %s::int`, [i]),
        ),
      );
      most = Math.max(most, (await prepared(connection)).length);
    });
    expect(most).toBe(100);
  });

  it('are the most recently used', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    connection.preparedMax = 2;
    for (const n of [1, 2, 1, 3]) await connection.execute(`select %s::int + ${String(n)}`, [n]);
    expect(await prepared(connection)).toEqual(['select $1::int + 1', 'select $1::int + 3']);
    connection.preparedMax = 1;
    await connection.execute('select %s::int + 4', [4]);
    expect(await prepared(connection)).toEqual(['select $1::int + 4']);
  });

  it('are bounded within an executemany() whose parameters change their types, too', async () => {
    const connection = await connect({ autocommit: true });
    connection.preparedMax = 2;
    const values = [1, 100_000, 2n ** 40n, true, 1.5, new Date(0), 3, 70_000];
    const cursor = connection.cursor();
    await cursor.executemany(
      'select pg_typeof(%s)::text, (select count(*) from pg_prepared_statements)',
      values.map((v) => [v]),
      {
        returning: true,
      },
    );
    const counts: bigint[] = [];
    for await (const result of cursor.results())
      counts.push(((await result.fetchone()) as [string, bigint])[1]);
    expect(counts).toHaveLength(values.length);
    expect(Math.max(...counts.map(Number))).toBeLessThanOrEqual(2);
  });

  it('are bounded after a failed executemany(), of which the server skips the rest, too', async () => {
    const connection = await connect({ autocommit: true });
    connection.preparedMax = 2;
    await times(10, async (i) => {
      const failing = connection
        .cursor()
        .executemany(`select ${String(i)}, 1 / (%s)::int`, [[0], [100_000], [2n ** 20n], [true], ['5']]);
      await expect(failing).rejects.toBeInstanceOf(errors.DivisionByZero);
    });
    await connection.execute('select %s::int', [1], { prepare: true });
    expect((await prepared(connection)).length).toBeLessThanOrEqual(2);
  });

  it('are all closed if preparedMax is 0', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('select %s::int', [1], { prepare: true });
    await connection.execute('select 1', undefined, { prepare: true });
    connection.preparedMax = 0;
    await connection.execute('select %s::int', [1], { prepare: true });
    await connection.cursor().executemany('select %s::int', [[1], [2], [3]]);
    expect(await prepared(connection)).toEqual([]);
    connection.preparedMax = 1;
    await connection.execute('select %s::int', [1], { prepare: true });
    expect(await prepared(connection)).toEqual(['select $1::int']);
  });

  it('are none if prepareThreshold is null', async () => {
    const connection = await connect({ autocommit: true, prepareThreshold: null });
    await times(10, () => connection.execute('select %s::int', [1]));
    await connection.execute('select %s::int', [1], { prepare: true });
    await connection.cursor().executemany('select %s::int', [[1], [2], [3]]);
    expect(await prepared(connection)).toEqual([]);
  });

  it.each(['DEALLOCATE ALL', 'DISCARD ALL'])('are forgotten after %s', async (command) => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    await connection.execute('select %s::int', [1]);
    await connection.execute(command);
    expect(await (await connection.execute('select %s::int', [2])).fetchone()).toEqual([2]);
    expect(await prepared(connection)).toContain('select $1::int');
  });
});

describe('a prepared statement whose table has changed', () => {
  async function table(connection: AsyncConnection, name: string): Promise<void> {
    connection.prepareThreshold = 0;
    await connection.execute(`create table ${name} as select 1 as a`);
  }
  const query = (name: string) => `select * from ${name} where a = %s`;

  it('is prepared again outside of a transaction, without an error', async () => {
    const connection = await connect({ autocommit: true });
    await table(connection, 'plan_autocommit');
    try {
      for (const column of ['b', 'c', 'd']) {
        const before = await connection.execute(query('plan_autocommit'), [1]);
        const width = before.description!.length;
        await admin(`alter table plan_autocommit add column ${column} int`);
        const cursor = await connection.execute(query('plan_autocommit'), [1]);
        expect(cursor.description).toHaveLength(width + 1);
        expect(await cursor.fetchall()).toHaveLength(1);
      }
      expect(await prepared(connection)).toContain('select * from plan_autocommit where a = $1');
      await admin('alter table plan_autocommit drop column d');
      await connection.cursor().executemany(query('plan_autocommit'), [[1], [2], [3]]);
    } finally {
      await admin('drop table plan_autocommit');
    }
  });

  it('is prepared again when it begins a transaction', async () => {
    const connection = await connect();
    await table(connection, 'plan_first');
    await connection.execute(query('plan_first'), [1]);
    await connection.commit();
    try {
      await admin('alter table plan_first add column b int');
      const [cursor, behind] = await Promise.all([
        connection.execute(query('plan_first'), [1]),
        connection.execute('insert into plan_first values (%s, %s)', [2, 2]),
      ]);
      expect(await cursor.fetchall()).toEqual([[1, null]]);
      expect(behind.rowcount).toBe(1);
      expect(connection.info.transactionStatus).toBe(TransactionStatus.INTRANS);
      await connection.commit();
      expect(await (await connection.execute(query('plan_first'), [2])).fetchall()).toEqual([[2, 2]]);
      await connection.rollback();
    } finally {
      await connection.rollback();
      await admin('drop table plan_first');
    }
  });

  it('fails inside a transaction with advice, which then works', async () => {
    const connection = await connect();
    await table(connection, 'plan_inside');
    // A statement prepared in the transaction that creates its table is not kept.
    await connection.commit();
    await connection.execute(query('plan_inside'), [1]);
    await connection.commit();
    try {
      await connection.execute('select 1');
      await admin('alter table plan_inside add column b int');
      const error = await connection.execute(query('plan_inside'), [1]).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(errors.FeatureNotSupported);
      expect((error as errors.Error).message).toMatch(
        /cached plan must not change.*roll back and run it again/,
      );
      expect((error as errors.Error).diag.messagePrimary).toMatch(/cached plan/);
      expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
      await connection.rollback();
      expect(await (await connection.execute(query('plan_inside'), [1])).fetchall()).toEqual([[1, null]]);
    } finally {
      await connection.rollback();
      await admin('drop table plan_inside');
    }
  });

  it('fails one transaction only, however many statements use the table', async () => {
    const connection = await connect();
    await table(connection, 'plan_several');
    await connection.commit();
    const several = async (): Promise<number[]> => {
      const widths: number[] = [];
      for (const order of ['a', 'a desc', '1'])
        widths.push(
          (await connection.execute(`select * from plan_several order by ${order}`)).description!.length,
        );
      return widths;
    };
    try {
      expect(await several()).toEqual([1, 1, 1]);
      await connection.commit();
      await connection.execute('select 1');
      await admin('alter table plan_several add column b int');
      await expect(several()).rejects.toMatchObject({ sqlstate: '0A000' });
      await connection.rollback();
      await connection.execute('select 1');
      expect(await several()).toEqual([2, 2, 2]);
    } finally {
      await connection.rollback();
      await admin('drop table plan_several');
    }
  });

  it('fails one pipeline with advice, which then works', async () => {
    const connection = await connect({ autocommit: true });
    await table(connection, 'plan_pipeline');
    const inPipeline = (): Promise<unknown[]> =>
      connection.withPipeline(async () => {
        const cursor = await connection.execute(query('plan_pipeline'), [1]);
        await connection.execute('select %s::int', [2]);
        return cursor.fetchall();
      });
    try {
      expect(await inPipeline()).toEqual([[1]]);
      await admin('alter table plan_pipeline add column b int');
      await expect(inPipeline()).rejects.toMatchObject({
        sqlstate: '0A000',
        message: expect.stringMatching(/cached plan must not change.*run it again/) as string,
      });
      expect(await inPipeline()).toEqual([[1, null]]);
      await connection.execute("do $$ begin execute 'deallocate all'; end $$");
      await expect(inPipeline()).rejects.toMatchObject({ sqlstate: '26000' });
      expect(await inPipeline()).toEqual([[1, null]]);
    } finally {
      await admin('drop table plan_pipeline');
    }
  });

  it('is prepared again after the connection itself changed the table, in the same transaction or by its rollback', async () => {
    const connection = await connect();
    await table(connection, 'plan_own');
    await connection.commit();
    try {
      await connection.execute(query('plan_own'), [1]);
      await connection.execute('alter table plan_own add column b int');
      expect(await (await connection.execute(query('plan_own'), [1])).fetchall()).toEqual([[1, null]]);
      await connection.rollback();
      await connection.execute('select 1');
      expect(await (await connection.execute(query('plan_own'), [1])).fetchall()).toEqual([[1]]);
      await connection.execute('savepoint s');
      await connection.execute('alter table plan_own add column b int, add column c int');
      expect(await (await connection.execute(query('plan_own'), [1])).fetchall()).toEqual([[1, null, null]]);
      await connection.execute('rollback to s');
      expect(await (await connection.execute(query('plan_own'), [1])).fetchall()).toEqual([[1]]);
    } finally {
      await connection.rollback();
      await admin('drop table plan_own');
    }
  });

  it('is prepared again if it was deallocated', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    await connection.execute('select %s::int', [1]);
    await connection.execute(
      "do $$ declare s text; begin for s in select name from pg_prepared_statements where statement like 'select $1%' loop" +
        " execute 'deallocate ' || s; end loop; end $$",
    );
    expect(await (await connection.execute('select %s::int', [2])).fetchone()).toEqual([2]);
  });

  it('has a name that no other session uses, so that poolers cannot mix them up', async () => {
    const names = async (): Promise<unknown[]> => {
      const connection = await connect({ autocommit: true, prepareThreshold: 0 });
      await connection.execute('select %s::int', [1]);
      const listed = await connection.execute('select name from pg_prepared_statements');
      return (await listed.fetchall()).map(([name]) => name);
    };
    const [one, other] = [await names(), await names()];
    expect(one.length).toBeGreaterThan(0);
    expect(one.filter((name) => other.includes(name))).toEqual([]);
  });

  it('of the user is left unchanged', async () => {
    const connection = await connect({ autocommit: true });
    connection.prepareThreshold = 0;
    await expect(connection.execute('execute nowhere')).rejects.toBeInstanceOf(
      errors.InvalidSqlStatementName,
    );
    await connection.execute('prepare mine as select 1');
    await connection.execute('alter role current_user reset work_mem');
    expect(await (await connection.execute('execute mine')).fetchone()).toEqual([1]);
  });
});

describe('a statement prepared in a transaction', () => {
  /** Each creates a table that ends with its transaction; the next transaction has one of the same name with another type. */
  const MAKERS: Record<string, (type: string) => string[]> = {
    'CREATE TABLE': (type) => [`create temp table gone (a ${type}) on commit drop`],
    'CREATE TABLE AS': (type) => [`create temp table gone on commit drop as select null::${type} as a`],
    'CREATE TABLE AS behind a comment': (type) => [
      `/* why */ create temp table gone on commit drop as select null::${type} as a`,
    ],
    'several statements': (type) => [`select 1; create temp table gone (a ${type}) on commit drop`],
    'a DO block': (type) => [`do $$ begin create temp table gone (a ${type}) on commit drop; end $$`],
    'a function': (type) => [
      `create or replace function pg_temp.make() returns int language plpgsql as
       $$ begin create temp table gone (a ${type}) on commit drop; return 1; end $$`,
      'select pg_temp.make()',
    ],
    'EXECUTE of a function': (type) => [
      `create or replace function pg_temp.make() returns int language plpgsql as
       $$ begin create temp table gone (a ${type}) on commit drop; return 1; end $$`,
      'deallocate all',
      'prepare maker as select pg_temp.make()',
      'execute maker',
    ],
    'DISCARD TEMP': (type) => [
      `create temp table gone (a ${type}, b int)`,
      'select * from gone',
      'discard temp',
      `create temp table gone (a ${type}) on commit drop`,
    ],
    'ROLLBACK TO': (type) => [
      'savepoint before',
      `create temp table gone (a ${type}, b int)`,
      'select * from gone',
      'rollback to before',
      `create temp table gone (a ${type}) on commit drop`,
    ],
  };

  it.each(Object.keys(MAKERS))('is prepared again after it, where %s made its table', async (maker) => {
    const connection = await connect({ prepareThreshold: 0 });
    for (const type of ['int', 'text', 'int', 'date']) {
      for (const text of MAKERS[maker]!(type)) {
        await connection.execute(text, null, text.startsWith('discard') ? { prepare: false } : {});
      }
      for (let i = 0; i < 2; i++) {
        const cursor = await connection.execute('select * from gone');
        expect(cursor.description?.map(({ typeDisplay }) => typeDisplay)).toEqual([
          type === 'int' ? 'int4' : type,
        ]);
      }
      await connection.commit();
    }
  });

  /** Each calls a function that creates the table; nothing else in the transaction tells of it. */
  const CALLERS: Readonly<Record<string, (call: string) => string[]>> = {
    SELECT: (call) => [`select ${call}`],
    'a FETCH': (call) => [`declare c cursor for select ${call}`, 'fetch all from c', 'close c'],
    'an INSERT': (call) => [`insert into made (a) values (${call})`],
    'an UPDATE': (call) => [`update made set a = ${call} where ctid = (select max(ctid) from made)`],
    'a RETURNING': (call) => [`insert into made (a) values ('') returning ${call}`],
    'EXPLAIN ANALYZE': (call) => [`explain analyze select ${call}`],
    COPY: (call) => [`copy (select ${call}) to stdout`],
  };

  it.each(Object.keys(CALLERS))(
    'is prepared again after it, where %s called what made its table',
    async (caller) => {
      const connection = await connect({ prepareThreshold: 0 });
      await connection.execute(`
        create function pg_temp.make(type text) returns text language plpgsql as
        $$ begin execute 'create temp table gone (a ' || type || ') on commit drop'; return type; end $$;
        create temp table made (a text);
        insert into made values ('')`);
      await connection.commit();
      for (const type of ['int4', 'text', 'int4', 'date']) {
        for (const text of CALLERS[caller]!(`pg_temp.make('${type}')`)) {
          if (text.startsWith('copy')) await connection.cursor().withCopy(text, (copy) => copy.readRow());
          else await connection.execute(text, null, { prepare: false });
        }
        const cursor = await connection.execute('select * from gone');
        expect(cursor.description?.map(({ typeDisplay }) => typeDisplay)).toEqual([type]);
        await connection.commit();
      }
    },
  );

  it('is not prepared again after a transaction that only writes, more often than it takes to see its tables stay', async () => {
    const connection = await connect({ prepareThreshold: 0 });
    await connection.execute('create temp table made (a text, b int)');
    await connection.execute("insert into made (a, b) values ('x', 1) on conflict do nothing");
    await connection.commit();
    const names = new Set<unknown>();
    for (let i = 0; i < 6; i++) {
      await connection.execute('insert into made (a, b) values (%s, %s)', ['x', i]);
      await connection.execute('select a from made');
      const listed = await connection.execute(
        "select name from pg_prepared_statements where statement = 'select a from made'",
        null,
        { prepare: false },
      );
      for (const [name] of await listed.fetchall()) names.add(name);
      await connection.commit();
    }
    expect(names.size).toBe(1);
  });
});

describe('a statement whose names stand for other tables from now on', () => {
  const SETTERS: Readonly<Record<string, (schema: string) => string>> = {
    'SET LOCAL search_path': (schema) => `set local search_path to ${schema}`,
    'SET SCHEMA behind comments': (schema) => `/* a */ set -- b\n schema '${schema}'`,
    'SET ROLE': (schema) => `set role ${schema}`,
    'SET LOCAL ROLE': (schema) => `set local role ${schema}`,
    'SET SESSION AUTHORIZATION': (schema) => `set session authorization ${schema}`,
    'the second of two statements': (schema) => `select 1; set role ${schema}`,
    'set_config(search_path)': (schema) => `select set_config('search_path', '${schema}', true)`,
    'set_config(role)': (schema) => `select pg_catalog.SET_CONFIG('role', '${schema}', true)`,
    'a session_authorization': (schema) => `set session_authorization to ${schema}`,
    'DO with a SET': (schema) => `do $$ begin set local search_path to ${schema}; end $$`,
  };
  const USERS = ['prepared_int4', 'prepared_text', 'prepared_date'];
  /** Each of them twice, and after each other. */
  const CHANGES = [...USERS.flatMap((user) => [user, user]), ...USERS];

  beforeAll(async () => {
    for (const user of USERS) {
      await admin(`create role ${user}; create schema ${user}`);
      await admin(
        `create table ${user}.theirs (a ${user.slice(9)}); grant usage on schema ${user} to ${user}`,
      );
      await admin(`grant select on ${user}.theirs to ${user}`);
    }
    return async () => {
      for (const user of USERS) await admin(`drop schema ${user} cascade; drop role ${user}`);
    };
  });

  it.each(Object.keys(SETTERS))('is prepared again after %s', async (setter) => {
    const connection = await connect({ prepareThreshold: 0 });
    for (const end of ['commit', 'rollback'] as const) {
      for (const user of CHANGES) {
        await connection.execute(SETTERS[setter]!(user), null, { prepare: false });
        const cursor = await connection.execute('select * from theirs');
        expect(cursor.description?.map(({ typeDisplay }) => typeDisplay)).toEqual([user.slice(9)]);
        await connection[end]();
      }
    }
  });

  const ONE = 'prepared_int4';
  const OTHER = 'prepared_text';

  it.each(['set_config(%s, %s, true)', "pg_catalog.Set_Config('search_path', %(schema)s, true)"])(
    'is prepared again after a transaction that has called %s',
    async (call) => {
      const connection = await connect({ prepareThreshold: 0 });
      for (const schema of [ONE, ONE, OTHER, OTHER, ONE]) {
        const params = call.includes('(schema)') ? { schema } : ['search_path', schema];
        await connection.execute(`select ${call}`, params);
        const cursor = await connection.execute('select * from theirs');
        expect(cursor.description?.map(({ typeDisplay }) => typeDisplay)).toEqual([schema.slice(9)]);
        await connection.commit();
      }
    },
  );

  it.each([
    "set_config('role', %s, true)",
    "set_config('role', %s, false)",
    "set_config('role', %s, %s)",
    "set_config('ro' || 'le', %s, true) as role",
  ])('is prepared again when the user has been changed by %s', async (call) => {
    const connection = await connect({ prepareThreshold: 0 });
    for (const end of ['commit', 'rollback'] as const) {
      for (const user of CHANGES) {
        const params = call.includes('%s, %s') ? [user, true] : [user];
        await connection.execute(`select ${call}`, params, { prepare: false });
        const cursor = await connection.execute('select * from theirs');
        expect(cursor.description?.map(({ typeDisplay }) => typeDisplay)).toEqual([user.slice(9)]);
        await connection[end]();
      }
    }
  });

  it('is prepared again for the user of the session, between transactions of others', async () => {
    const connection = await connect(
      { prepareThreshold: 0 },
      { options: '-c search_path=$user,prepared_text' },
    );
    const types = async (): Promise<unknown> =>
      (await connection.execute('select * from theirs')).description?.map(({ typeDisplay }) => typeDisplay);
    for (const user of [
      'prepared_int4',
      'prepared_date',
      'prepared_int4',
      'prepared_int4',
      'prepared_date',
    ]) {
      for (const setter of ['set local role', 'set role', 'set session authorization']) {
        await connection.execute(`${setter} ${user}`);
        expect(await types()).toEqual([user.slice(9)]);
        await connection.commit();
        if (setter !== 'set local role') expect(await types()).toEqual([user.slice(9)]);
        await connection.execute('reset session authorization');
        expect(await types()).toEqual(['text']);
        await connection.commit();
      }
    }
  });

  it('is prepared again after a text, or a pipeline, whose failure has undone the change of the user', async () => {
    const connection = await connect(
      { prepareThreshold: 0, autocommit: true },
      { options: '-c search_path=$user,prepared_text' },
    );
    const types = (): Promise<unknown> =>
      connection.withTransaction(async () => {
        await connection.execute('select 1');
        const cursor = await connection.execute('select * from theirs');
        return cursor.description?.map(({ typeDisplay }) => typeDisplay);
      });
    for (let i = 0; i < 2; i++) {
      await connection.execute('set role prepared_int4');
      expect(await types()).toEqual(['int4']);
      await connection.execute('reset role');
      expect(await types()).toEqual(['text']);
      await rejection(connection.execute('set role prepared_int4; select 1/0'));
      expect(await types()).toEqual(['text']);
      const failed = connection.withPipeline(async () => {
        await connection.execute('set role prepared_int4');
        await connection.execute('select 1/0');
      });
      await rejection(failed);
      expect(await types()).toEqual(['text']);
    }
  });

  it('stays prepared while set_config() sets what names nothing', async () => {
    const connection = await connect({ prepareThreshold: 0 });
    await connection.execute('select a from prepared_int4.theirs');
    await connection.commit();
    for (let i = 0; i < 3; i++) {
      await connection.execute("select set_config('app.tenant', %s, true)", [String(i)]);
      await connection.execute('select a from prepared_int4.theirs');
      await connection.commit();
    }
    expect(await prepared(connection)).toContain('select a from prepared_int4.theirs');
  });

  /** Each ends what the other statement has set, for the rest of a transaction that is rolled back. */
  const RESETTERS: Readonly<Record<string, string>> = {
    'RESET search_path': 'set search_path to prepared_int4',
    'RESET ALL': 'set search_path to prepared_int4',
    'reset /* it */ all': 'set search_path to prepared_int4',
    'RESET ROLE': 'set role prepared_int4',
    'SET ROLE NONE': 'set role prepared_int4',
    'RESET SESSION AUTHORIZATION': 'set session authorization prepared_int4',
  };

  it.each(Object.keys(RESETTERS))('is prepared again after %s, and when that is undone', async (resetter) => {
    const connection = await connect(
      { prepareThreshold: 0 },
      { options: '-c search_path=$user,prepared_text' },
    );
    const types = async (): Promise<unknown> =>
      (await connection.execute('select * from theirs')).description?.map(({ typeDisplay }) => typeDisplay);
    await connection.execute(RESETTERS[resetter]!);
    expect(await types()).toEqual(['int4']);
    await connection.commit();
    await connection.execute(resetter);
    expect(await types()).toEqual(['text']);
    await connection.rollback();
    await connection.execute('savepoint before');
    expect(await types()).toEqual(['int4']);
    await connection.execute(resetter);
    expect(await types()).toEqual(['text']);
    await connection.execute('rollback to before');
    expect(await types()).toEqual(['int4']);
  });

  it('stays prepared for the user of a row security policy, who sees the same tables as others', async () => {
    const connection = await connect({ prepareThreshold: 0 });
    const names: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      await connection.execute('set local role prepared_int4');
      await connection.execute('select a from prepared_int4.theirs');
      const listed = await connection.execute(
        'select name from pg_prepared_statements where not from_sql',
        null,
        {
          prepare: false,
        },
      );
      names.push((await listed.fetchall()).join());
      await connection.commit();
    }
    expect(names[5]).toBe(names[3]);
  });

  it('stays prepared for many users, once two of them have had the same tables', async () => {
    const connection = await connect({ prepareThreshold: 0 });
    await connection.execute('create temp table shared (a int); grant all on shared to public');
    await connection.commit();
    const names: unknown[] = [];
    for (const user of [...CHANGES, ...CHANGES]) {
      await connection.execute(`set local role ${user}`);
      await connection.execute('select a from shared');
      const listed = await connection.execute(
        'select name from pg_prepared_statements where not from_sql',
        null,
        { prepare: false },
      );
      names.push((await listed.fetchall()).join());
      await connection.commit();
    }
    expect(new Set(names.slice(CHANGES.length)).size).toBe(1);
  });
});
