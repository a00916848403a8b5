import { describe, expect, it } from 'vitest';
import { errors, TransactionStatus, type AsyncConnection } from '../../src/index.js';
import { connect } from '../support/database.js';

const ROWS = 'select generate_series(1, 1000)';

async function withTable(autocommit = true): Promise<AsyncConnection> {
  const connection = await connect({ autocommit });
  await connection.execute('create temp table place (id int)');
  if (!autocommit) await connection.commit();
  return connection;
}

async function places(connection: AsyncConnection): Promise<unknown[]> {
  return (await (await connection.execute('select id from place order by 1')).fetchall()).map(([id]) => id);
}

/** A stream that has begun, while the server waits for the request for more rows. */
async function begunStream(connection: AsyncConnection): Promise<AsyncGenerator<unknown[], void, void>> {
  const rows = connection.cursor().stream(ROWS, null, { size: 10 });
  await rows.next();
  await rows.next();
  return rows;
}

describe('cancelSafe()', () => {
  // A server that waits for its client's next message ignores cancel requests.
  it('ends a COPY that waits to be written, and the connection goes on', async () => {
    const connection = await withTable();
    const copy = await connection.cursor().copy('copy place from stdin');
    await copy.write('1\n');
    const cancelling = connection.cancelSafe();
    await expect(copy.write(Buffer.alloc(100_000, '2\n'))).rejects.toThrow(errors.QueryCanceled);
    await cancelling;
    await expect(copy.finish()).rejects.toMatchObject({ sqlstate: '57014', query: 'copy place from stdin' });
    expect(await places(connection)).toEqual([]);
  });

  it('ends a COPY that waits to be read, and the connection goes on', async () => {
    const connection = await connect({ autocommit: true });
    const copy = await connection
      .cursor()
      .copy("copy (select repeat('x', 1000), generate_series(1, 50000)) to stdout");
    await copy.read();
    await connection.cancelSafe();
    await expect(copy.read()).rejects.toThrow(errors.QueryCanceled);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('ends a stream whose reader takes its time, and the connection goes on', async () => {
    const connection = await connect({ autocommit: true });
    const rows = await begunStream(connection);
    await connection.cancelSafe();
    await expect(
      (async () => {
        for await (const _ of rows);
      })(),
    ).rejects.toThrow(errors.QueryCanceled);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('ends a stream that waits for its first row', async () => {
    const connection = await connect({ autocommit: true });
    const first = connection.cursor().stream('select pg_sleep(60)').next();
    const rejected = expect(first).rejects.toThrow(errors.QueryCanceled);
    await connection.cancelSafe();
    await rejected;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });
});

describe.each([true, false])('a block with an unfinished COPY or stream (autocommit %s)', (autocommit) => {
  it.each(['COPY', 'stream'])('rolls back when it throws, whatever the state of the %s', async (what) => {
    const connection = await withTable(autocommit);
    const mine = new Error('mine');
    await expect(
      connection.withTransaction(async () => {
        await connection.execute('insert into place values (1)');
        if (what === 'stream') await begunStream(connection);
        else await (await connection.cursor().copy('copy place from stdin')).write('2\n');
        throw mine;
      }),
    ).rejects.toBe(mine);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    expect(await places(connection)).toEqual([]);
  });

  it('rolls back when its scope is left, and the COPY gets the reason', async () => {
    const connection = await withTable(autocommit);
    const block = async () => {
      await using _transaction = await connection.transaction();
      const copy = await connection.cursor().copy('copy place from stdin');
      await copy.write('2\n');
      return copy;
    };
    await expect((await block()).finish()).rejects.toThrow(errors.InterfaceError);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('refuses a commit, and is rolled back if the commit was the end of its callback', async () => {
    const connection = await withTable(autocommit);
    await expect(
      connection.withTransaction(async () => {
        await connection.execute('insert into place values (1)');
        await begunStream(connection);
      }),
    ).rejects.toThrow(errors.ProgrammingError);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    expect(await places(connection)).toEqual([]);
  });

  it('cannot be ended before the COPY is finished', async () => {
    const connection = await withTable(autocommit);
    await using transaction = await connection.transaction();
    const copy = await connection.cursor().copy('copy place from stdin');
    await copy.write('2\n');
    await expect(transaction.commit()).rejects.toThrow(errors.ProgrammingError);
    await expect(transaction.rollback()).rejects.toThrow(errors.ProgrammingError);
    expect(transaction.active).toBe(true);
    await copy.finish();
    await transaction.commit();
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    expect(await places(connection)).toEqual([2]);
  });
});

describe('a pipeline', () => {
  it.each(['COPY', 'stream'])(
    'is refused at once during a %s, in whose loop it would wait for ever',
    async (what) => {
      const connection = await withTable();
      const left =
        what === 'stream'
          ? await begunStream(connection)
          : await connection.cursor().copy('copy place to stdout');
      expect(() => connection.pipeline()).toThrow(errors.ProgrammingError);
      await expect(connection.withPipeline(() => connection.execute('select 1'))).rejects.toThrow(
        errors.ProgrammingError,
      );
      await left[Symbol.asyncDispose]();
      const cursor = await connection.withPipeline(() => connection.execute('select 1'));
      expect(await cursor.fetchone()).toEqual([1]);
    },
  );
});
