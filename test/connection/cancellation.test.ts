import { describe, expect, it } from 'vitest';
import { errors, TransactionStatus } from '../../src/index.js';
import { connect } from '../support/database.js';

describe('an aborted statement', () => {
  it('rejects with the reason and leaves the connection usable', async () => {
    const connection = await connect({ autocommit: true });
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const running = connection.execute('select pg_sleep(20)', null, { signal: controller.signal });
    setTimeout(() => {
      controller.abort(reason);
    }, 30);
    await expect(running).rejects.toBe(reason);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('that still waits for its turn is never sent', async () => {
    const connection = await connect();
    await connection.execute('create temp table seen (id int)');
    await connection.commit();
    const controller = new AbortController();
    const first = connection.execute('select pg_sleep(0.1)');
    const second = connection.execute('insert into seen values (1)', null, { signal: controller.signal });
    const third = connection.execute('insert into seen values (2)');
    controller.abort();
    await expect(second).rejects.toHaveProperty('name', 'AbortError');
    await Promise.all([first, third]);
    expect(await (await connection.execute('select id from seen')).fetchall()).toEqual([[2]]);
  });

  it('in a transaction fails the transaction, as the server does', async () => {
    const connection = await connect();
    await expect(
      connection.execute('select pg_sleep(20)', null, { signal: AbortSignal.timeout(30) }),
    ).rejects.toHaveProperty('name', 'TimeoutError');
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await connection.rollback();
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('with a signal aborted before is not begun', async () => {
    const connection = await connect();
    await expect(
      connection.execute('select 1', null, { signal: AbortSignal.abort() }),
    ).rejects.toHaveProperty('name', 'AbortError');
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('never takes its successor with it, whenever the abort comes', async () => {
    const connection = await connect({ autocommit: true });
    let aborted = 0;
    for (let i = 0; i < 300; i++) {
      const controller = new AbortController();
      const target = connection.execute('select pg_sleep(0.002)', null, { signal: controller.signal }).then(
        () => 'done',
        (error: unknown) => {
          expect(error).toHaveProperty('name', 'AbortError');
          aborted++;
        },
      );
      const successor = connection.execute('select %s::int', [i]);
      setTimeout(
        () => {
          controller.abort();
        },
        (i % 5) * 0.8,
      );
      await target;
      expect(await (await successor).fetchone()).toEqual([i]);
    }
    expect(aborted).toBeGreaterThan(0);
  });
});

describe('leaving a scope while a statement runs', () => {
  it('closes the cursor and cancels the statement', async () => {
    const connection = await connect({ autocommit: true });
    const begin = async (): Promise<Promise<unknown>[]> => {
      await using cursor = connection.cursor();
      const statement = cursor.execute('select pg_sleep(20)');
      statement.catch(() => undefined);
      return [statement];
    };
    const [running] = await begin();
    await expect(running).rejects.toBeInstanceOf(errors.InterfaceError);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });
});
