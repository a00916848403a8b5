import { describe, expect, it } from 'vitest';
import { errors, TransactionStatus } from '../../src/index.js';
import { connect } from '../support/database.js';

describe('statements submitted at once to one connection', () => {
  for (const autocommit of [true, false]) {
    it(`run in call order and keep their results apart (autocommit ${String(autocommit)})`, async () => {
      const connection = await connect({ autocommit });
      const results = await Promise.all(
        Array.from({ length: 2000 }, async (_, i) => {
          const cursor = await connection.execute(
            i % 3 === 0 ? `select ${String(i)}, 'text ${String(i)}'` : 'select %s::int, %s::text',
            i % 3 === 0 ? null : [i, `text ${String(i)}`],
          );
          return cursor.fetchone();
        }),
      );
      expect(results).toEqual(Array.from({ length: 2000 }, (_, i) => [i, `text ${String(i)}`]));
    });
  }

  it('see the effects of earlier ones, including transaction control', async () => {
    const connection = await connect();
    await connection.execute('create temp table seen (id int)');
    await connection.commit();
    const [, , , inside, , after] = await Promise.all([
      connection.execute('insert into seen values (%s)', [1]),
      connection.commit(),
      connection.execute('insert into seen values (%s)', [2]),
      connection.execute('select count(*) from seen'),
      connection.rollback(),
      connection.execute('select count(*) from seen'),
    ]);
    expect(await inside.fetchone()).toEqual([2n]);
    expect(await after.fetchone()).toEqual([1n]);
  });

  it('fail one by one in autocommit, and after the first in a transaction', async () => {
    const connection = await connect({ autocommit: true });
    const divide = (by: number): Promise<unknown> => connection.execute('select 1 / %s::int', [by]);
    const alone = await Promise.allSettled([divide(1), divide(0), divide(1)]);
    expect(alone.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await connection.setAutocommit(false);
    const together = await Promise.allSettled([divide(1), divide(0), divide(1)]);
    expect(together.map((result) => (result as PromiseRejectedResult).reason?.name as unknown)).toEqual([
      undefined,
      'DivisionByZero',
      'InFailedSqlTransaction',
    ]);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
  });

  it('keep an error of a loader to the statement it belongs to', async () => {
    const connection = await connect();
    connection.adapters.registerLoader('int4', (text) => {
      if (text === '13') throw new Error('unlucky');
      return Number(text);
    });
    const settled = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, i) =>
        (await connection.execute('select %s::int4', [i])).fetchone(),
      ),
    );
    settled.forEach((result, i) => {
      if (i !== 13) expect((result as PromiseFulfilledResult<unknown>).value).toEqual([i]);
    });
    const failed = settled[13] as PromiseRejectedResult;
    expect(failed.reason).toBeInstanceOf(errors.DataError);
    expect((failed.reason as Error).message).toContain('unlucky');
  });

  it('are not confused by an earlier one that fails to be parsed', async () => {
    const connection = await connect({ autocommit: true });
    const settled = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        connection.execute('select nothing from nowhere where id = %s', [1], { prepare: true }),
      ),
    );
    for (const result of settled) {
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.UndefinedTable);
    }
  });
});

describe('a transaction', () => {
  it('precedes a text of several statements by a separate BEGIN', async () => {
    const connection = await connect();
    const cursor = await connection.execute('select 1; select 2');
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INTRANS);
    expect(await cursor.fetchall()).toEqual([[1]]);
    expect(await cursor.nextset()).toBe(true);
    expect(await cursor.fetchall()).toEqual([[2]]);
    expect(await cursor.nextset()).toBeNull();
  });

  it('is not begun by a statement in autocommit, but by executemany() of several batches', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = connection.cursor();
    await cursor.execute('create temp table many (id int unique)');
    const rows = Array.from({ length: 2500 }, (_, i) => [i]);
    await cursor.executemany('insert into many values (%s)', rows);
    expect(cursor.rowcount).toBe(2500);
    await expect(
      cursor.executemany('insert into many values (%s)', [...rows.map(([i]) => [i! + 5000]), [0]]),
    ).rejects.toBeInstanceOf(errors.UniqueViolation);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    expect(await (await connection.execute('select count(*) from many')).fetchone()).toEqual([2500n]);
  });
});

describe('COPY through execute()', () => {
  for (const statement of ['copy (select 1) to stdout', 'copy pg_temp.target from stdin']) {
    it(`is refused, and the connection stays usable: ${statement}`, async () => {
      const connection = await connect({ autocommit: true });
      await connection.execute('create temp table target (id int)');
      for (const options of [{}, { prepare: true }]) {
        await expect(connection.execute(statement, null, options)).rejects.toBeInstanceOf(
          errors.ProgrammingError,
        );
        expect(await (await connection.execute('select count(*) from target')).fetchone()).toEqual([0n]);
      }
    });
  }
});
