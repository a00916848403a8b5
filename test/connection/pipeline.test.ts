import { describe, expect, it } from 'vitest';
import {
  errors,
  PipelineStatus,
  TransactionStatus,
  type AsyncConnection,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, rejection, terminate } from '../support/database.js';

async function one(cursor: AsyncCursor): Promise<unknown> {
  return (await cursor.fetchone())?.[0] as unknown;
}

async function temporary(connection: AsyncConnection): Promise<void> {
  await connection.execute('create temp table t (n int primary key, v text)');
  await connection.commit();
}

async function rows(connection: AsyncConnection): Promise<unknown[]> {
  return (await (await connection.execute('select n from t order by n')).fetchall()).map(
    ([n]) => n as unknown,
  );
}

describe.each([true, false])('a pipeline (autocommit: %s)', (autocommit) => {
  it('sends statements without waiting, and each cursor gets its own result', async () => {
    const connection = await connect({ autocommit });
    await using pipeline = connection.pipeline();
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.ON);
    const cursors: AsyncCursor[] = [];
    for (let i = 0; i < 500; i++) cursors.push(await connection.execute('select %s::int', [i]));
    expect(connection.info.transactionStatus).toBe(TransactionStatus.ACTIVE);
    expect(await one(cursors[250]!)).toBe(250);
    expect(await Promise.all(cursors.filter((_, i) => i !== 250).map(one))).toEqual(
      Array.from({ length: 500 }, (_, i) => i).filter((i) => i !== 250),
    );
    await pipeline.sync();
    expect(connection.info.transactionStatus).toBe(
      autocommit ? TransactionStatus.IDLE : TransactionStatus.INTRANS,
    );
  });

  it('fills cursors without a fetch, too, once it is synchronised', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    await connection.withPipeline(async (pipeline) => {
      await cursor.execute('select 1 as a union all select 2');
      await pipeline.sync();
      expect([cursor.rowcount, cursor.statusmessage, cursor.description?.[0]?.name]).toEqual([
        2,
        'SELECT 2',
        'a',
      ]);
    });
    expect(await cursor.fetchall()).toEqual([[1], [2]]);
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.OFF);
  });

  it('leaves a cursor the results of its last operation, as outside of pipelines', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    await connection.withPipeline(async () => {
      await cursor.execute('select 1');
      await cursor.execute("select 2, 'two'");
      expect([cursor.description, cursor.rowcount]).toEqual([null, -1]);
      expect([await cursor.fetchall(), await cursor.nextset()]).toEqual([[[2, 'two']], null]);
      await cursor.execute('select 3');
      await cursor.executemany('select %s::int', [[4], [5]], { returning: true });
    });
    expect([await one(cursor), await cursor.nextset(), await one(cursor), await cursor.nextset()]).toEqual([
      4,
      true,
      5,
      null,
    ]);
    await connection.withPipeline(async () => {
      await cursor.executemany('select %s::int', [[6], [7]]);
      await cursor.execute('select 8');
    });
    expect([cursor.rowcount, await cursor.fetchall(), await cursor.nextset()]).toEqual([1, [[8]], null]);
  });

  it('reports a failure that was reported already, or will be, at no fetch of a later operation of its cursor', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    const failed = connection.withPipeline(async (pipeline) => {
      await cursor.execute('select 1/0');
      expect(await rejection(pipeline.sync())).toBeInstanceOf(errors.DivisionByZero);
      await connection.rollback();
      await cursor.execute('select 2');
      expect(await cursor.fetchall()).toEqual([[2]]);
      await cursor.execute('selec');
      await cursor.execute('select 3');
      expect(await rejection(cursor.fetchall())).toBeInstanceOf(errors.PipelineAborted);
    });
    expect(await rejection(failed)).toBeInstanceOf(errors.SyntaxError);
    await connection.rollback();
    await cursor.execute('select 4');
    expect(await cursor.fetchall()).toEqual([[4]]);
  });

  it.each(['fails', 'is skipped'])(
    'runs a statement behind sync() whose preparation before it %s',
    async (why) => {
      const connection = await connect({ autocommit: true });
      await connection.execute('create temp table made (n int)');
      await connection.withPipeline(async (pipeline) => {
        const [first, second] = [connection.cursor(), connection.cursor()];
        const query = why === 'fails' ? 'select n from late' : 'select count(*)::int from made';
        if (why === 'is skipped') await connection.execute('select 1/0');
        await first.execute(query, null, { prepare: true });
        const synced = rejection(pipeline.sync());
        if (why === 'fails') await connection.execute('create temp table late as select 0 as n');
        await second.execute(query, null, { prepare: true });
        expect(await second.fetchall()).toEqual([[0]]);
        expect(await synced).toBeInstanceOf(why === 'fails' ? errors.UndefinedTable : errors.DivisionByZero);
      });
    },
  );

  it('gives an error to the statement that caused it, and PipelineAborted to those behind it, until sync()', async () => {
    const connection = await connect({ autocommit });
    await using pipeline = connection.pipeline();
    const before = await connection.execute('select 1');
    const failing = await connection.execute('select 1 / %s::int', [0]);
    const behind = await connection.execute('select 3');
    await expect(failing.fetchone()).rejects.toBeInstanceOf(errors.DivisionByZero);
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.ABORTED);
    await expect(behind.fetchone()).rejects.toBeInstanceOf(errors.PipelineAborted);
    const later = await connection.execute('select 4');
    await expect(later.fetchone()).rejects.toBeInstanceOf(errors.PipelineAborted);
    expect(await one(before)).toBe(1);
    // All errors have been reported.
    await pipeline.sync();
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.ON);
    if (!autocommit) await connection.rollback();
    expect(await one(await connection.execute('select 5'))).toBe(5);
  });

  it('reports an error that was not fetched at sync(), once', async () => {
    const connection = await connect({ autocommit });
    await using pipeline = connection.pipeline();
    await connection.execute('select * from nowhere');
    await connection.execute('select 2');
    await expect(pipeline.sync()).rejects.toBeInstanceOf(errors.UndefinedTable);
    await pipeline.sync();
    if (!autocommit) await connection.rollback();
  });

  it('reports such an error at the end of its scope without a sync()', async () => {
    const connection = await connect({ autocommit });
    const run = async (): Promise<void> => {
      await using _pipeline = connection.pipeline();
      await connection.execute('select * from nowhere');
    };
    await expect(run()).rejects.toBeInstanceOf(errors.UndefinedTable);
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.OFF);
    await connection.rollback();
    await expect(
      connection.withPipeline(async () => {
        await connection.execute('select * from nowhere');
        throw new RangeError('my own');
      }),
    ).rejects.toBeInstanceOf(RangeError);
    await connection.rollback();
    expect(await one(await connection.execute('select 1'))).toBe(1);
  });

  it('may be nested: each end synchronises', async () => {
    const connection = await connect({ autocommit });
    await connection.withPipeline(async () => {
      const inner = await connection.withPipeline(() => connection.execute('select 1'));
      expect(inner.rowcount).toBe(1);
      expect(connection.info.pipelineStatus).toBe(PipelineStatus.ON);
      expect(await one(await connection.execute('select 2'))).toBe(2);
    });
    expect(connection.info.pipelineStatus).toBe(PipelineStatus.OFF);
  });

  it('takes executemany(), with and without returning', async () => {
    const connection = await connect({ autocommit });
    await temporary(connection);
    const cursor = connection.cursor();
    const returning = connection.cursor();
    await connection.withPipeline(async () => {
      const values = Array.from({ length: 2500 }, (_, i) => [i]);
      await cursor.executemany('insert into t values (%s)', values);
      expect(cursor.rowcount).toBe(0);
      await returning.executemany('insert into t values (%s) returning n', [[5000], [5001]], {
        returning: true,
      });
    });
    expect(cursor.rowcount).toBe(2500);
    expect([await one(returning), await returning.nextset(), await one(returning)]).toEqual([
      5000,
      true,
      5001,
    ]);
    expect(await rows(connection)).toHaveLength(2502);
  });

  it('takes transaction blocks, each of which is atomic', async () => {
    const connection = await connect({ autocommit });
    await temporary(connection);
    await connection.withPipeline(async () => {
      await connection.withTransaction(async () => {
        await connection.execute('insert into t values (1)');
        await connection.withTransaction(async () => connection.execute('insert into t values (2)'));
        const failed = connection.withTransaction(async () => {
          await connection.execute('insert into t values (3)');
          await connection.execute('insert into t values (1)');
        });
        await expect(failed).rejects.toBeInstanceOf(errors.UniqueViolation);
        await connection.execute('insert into t values (4)');
      });
    });
    await connection.commit();
    expect(await rows(connection)).toEqual([1, 2, 4]);
  });

  it('refuses COPY and streams', async () => {
    const connection = await connect({ autocommit });
    await using _pipeline = connection.pipeline();
    await expect(connection.cursor().stream('select 1').next()).rejects.toBeInstanceOf(
      errors.NotSupportedError,
    );
    const copied = await connection.execute('copy pg_class to stdout');
    await expect(copied.fetchone()).rejects.toBeInstanceOf(errors.ProgrammingError);
    const stdin = await connection.execute('copy pg_class from stdin');
    await expect(stdin.fetchone()).rejects.toBeInstanceOf(errors.ProgrammingError);
  });

  const EXECUTED: Record<string, (connection: AsyncConnection, copy: string) => Promise<unknown>> = {
    alone: (connection, copy) => connection.execute(copy),
    prepared: (connection, copy) => connection.execute(copy, null, { prepare: true }),
    'before a statement': async (connection, copy) => {
      await connection.execute(copy);
      await connection.execute('select 1');
    },
    'before itself': async (connection, copy) => {
      await connection.execute(copy);
      await connection.execute(copy);
    },
    'by executemany()': (connection, copy) => connection.cursor().executemany(copy, [[], [], []]),
  };

  it.each(Object.keys(EXECUTED))('goes on after a COPY FROM STDIN that is executed %s', async (way) => {
    const connection = await connect({ autocommit });
    await temporary(connection);
    for (const copy of ['copy t from stdin', '/* all */ copy t from/**/STDIN (format csv)']) {
      const refused = connection.withPipeline(async (pipeline) => {
        await EXECUTED[way]!(connection, copy);
        await pipeline.sync();
      });
      await expect(refused).rejects.toThrow(/use copy\(\) instead/);
      await connection.rollback();
      // Outside of pipelines, too.
      await expect(EXECUTED[way]!(connection, copy)).rejects.toThrow(/use copy\(\) instead/);
      await connection.rollback();
      expect(await one(await connection.execute("select 'stdin'"))).toBe('stdin');
      await connection.commit();
    }
    expect(connection.closed).toBe(false);
  });

  it('reports a lost connection at the fetch and at its end', async () => {
    const connection = await connect({ autocommit });
    const run = async (): Promise<void> => {
      await using _pipeline = connection.pipeline();
      const cursor = await connection.execute('select pg_sleep(20)');
      connection.execute('select 1').catch(() => undefined);
      const fetched = expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.AdminShutdown);
      await terminate(connection.info.backendPid);
      await fetched;
    };
    await expect(run()).rejects.toBeInstanceOf(errors.OperationalError);
    expect(connection.closed).toBe(true);
  });

  it('ends when its connection is closed', async () => {
    const connection = await connect({ autocommit });
    const run = async (): Promise<void> => {
      await using _pipeline = connection.pipeline();
      await connection.execute('select pg_sleep(20)');
      await connection.close();
    };
    await expect(run()).rejects.toBeInstanceOf(errors.OperationalError);
  });
});

describe('a pipeline in autocommit', () => {
  it('is all or nothing between two sync()', async () => {
    const connection = await connect({ autocommit: true });
    await temporary(connection);
    await connection.withPipeline(async (pipeline) => {
      await connection.execute('insert into t values (1)');
      await connection.execute('insert into t values (2)');
      await pipeline.sync();
      await connection.execute('insert into t values (3)');
      await connection.execute('insert into t values (1)');
      await connection.execute('insert into t values (4)');
      await expect(pipeline.sync()).rejects.toBeInstanceOf(errors.UniqueViolation);
      await connection.execute('insert into t values (5)');
    });
    expect(await rows(connection)).toEqual([1, 2, 5]);
  });

  const DIVIDERS: Record<string, (connection: AsyncConnection) => Promise<unknown>> = {
    BEGIN: async (connection) => {
      await connection.execute('begin');
      await connection.execute('commit');
    },
    'a change of settings': (connection) => connection.setReadOnly(null),
    'nothing but its end': () => Promise.resolve(),
  };

  async function fails(connection: AsyncConnection): Promise<void> {
    const failed = await connection.execute('select 1/0');
    await expect(failed.fetchone()).rejects.toBeInstanceOf(errors.DivisionByZero);
  }

  it.each(Object.keys(DIVIDERS))(
    'tells of writes that a failure known to its caller has undone, where %s ends their transaction',
    async (divider) => {
      const connection = await connect({ autocommit: true });
      await temporary(connection);
      const run = connection.withPipeline(async () => {
        const written = await connection.execute('insert into t values (1) returning n');
        expect(await one(written)).toBe(1);
        await fails(connection);
        await DIVIDERS[divider]!(connection);
      });
      await expect(run).rejects.toMatchObject({
        name: 'InFailedSqlTransaction',
        cause: { name: 'DivisionByZero' },
      });
      expect(await rows(connection)).toEqual([]);
    },
  );

  it.each(Object.keys(DIVIDERS).slice(0, 2))(
    'is well if a failure known to its caller undid no write, since %s had ended their transaction',
    async (divider) => {
      const connection = await connect({ autocommit: true });
      await temporary(connection);
      await connection.withPipeline(async () => {
        await connection.execute('insert into t values (1)');
        await DIVIDERS[divider]!(connection);
        await fails(connection);
        await DIVIDERS[divider]!(connection);
        await connection.execute('insert into t values (2)');
      });
      expect(await rows(connection)).toEqual([1, 2]);
    },
  );

  it('is well if its caller rolled the failed transaction back', async () => {
    const connection = await connect({ autocommit: true });
    await temporary(connection);
    await connection.withPipeline(async () => {
      await connection.execute('begin');
      await connection.execute('insert into t values (1)');
      await fails(connection);
      await connection.execute('rollback');
      await connection.execute('insert into t values (2)');
    });
    expect(await rows(connection)).toEqual([2]);
  });
});

it('info.errorMessage is the error of the last statement', async () => {
  const connection = await connect({ autocommit: true });
  expect(connection.info.errorMessage).toBe('');
  await expect(connection.execute('select * from nowhere')).rejects.toBeInstanceOf(errors.UndefinedTable);
  expect(connection.info.errorMessage).toContain('relation "nowhere" does not exist');
  await connection.execute('select 1');
  expect(connection.info.errorMessage).toBe('');
});

describe('a pipeline in a transaction', () => {
  it('begins the transaction once, and commit() ends it', async () => {
    const connection = await connect();
    await temporary(connection);
    const notices: string[] = [];
    connection.addNoticeHandler(({ messagePrimary }) => notices.push(messagePrimary ?? ''));
    await connection.withPipeline(async (pipeline) => {
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 10; i++) await connection.execute('insert into t values (%s)', [round * 10 + i]);
        if (round === 1) await connection.rollback();
        else await connection.commit();
        expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
      }
      await pipeline.sync();
    });
    expect(notices).toEqual([]);
    expect(await rows(connection)).toHaveLength(20);
  });

  it('with a failed statement rejects commit() with its error, and commits nothing', async () => {
    const connection = await connect();
    await temporary(connection);
    await connection.withPipeline(async () => {
      await connection.execute('insert into t values (1)');
      await connection.execute('insert into t values (1)');
      await expect(connection.commit()).rejects.toBeInstanceOf(errors.UniqueViolation);
      await connection.rollback();
    });
    expect(await rows(connection)).toEqual([]);
  });
});

describe('sync()', () => {
  it('does not wait for a statement sent after it', async () => {
    const connection = await connect({ autocommit: true });
    const row = await connection.withPipeline(async (pipeline) => {
      const first = pipeline.sync();
      const behind = await connection.execute('select %s', [2]);
      await first;
      return behind.fetchone();
    });
    expect(row).toEqual([2]);
  });
});
