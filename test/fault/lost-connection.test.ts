import { inject } from 'vitest';
import { describe, expect, it } from 'vitest';
import { AsyncConnection, conninfoToDict, errors, TransactionStatus } from '../../src/index.js';
import { admin, backends, connect, dsn, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

async function untilClosed(connection: AsyncConnection): Promise<void> {
  while (!connection.closed) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a backend that is killed', () => {
  it('while idle: the next statement rejects with what the server said, and so does every later one', async () => {
    const connection = await connect();
    await terminate(connection.info.backendPid);
    await untilClosed(connection);
    for (let i = 0; i < 3; i++) {
      await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.AdminShutdown);
    }
    expect(connection.broken).toBe(true);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.UNKNOWN);
    await expect(connection.commit()).rejects.toBeInstanceOf(errors.AdminShutdown);
  });

  it('while a statement runs: that one and those that wait reject with it', async () => {
    const connection = await connect();
    const pid = connection.info.backendPid;
    const running = [
      connection.execute('select pg_sleep(20)'),
      connection.execute('select 2'),
      connection.commit(),
    ];
    const settled = Promise.allSettled(running);
    while (
      (await admin('select 1 from pg_stat_activity where pid = $1 and query like $2', [pid, '%pg_sleep%']))
        .length === 0
    );
    await terminate(pid);
    for (const result of await settled) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.AdminShutdown);
    }
  });

  it('in a transaction: nothing of it is left, and its block says that it failed', async () => {
    await admin('create table if not exists killed (id int)');
    try {
      const connection = await connect();
      await expect(
        connection.withTransaction(async () => {
          await connection.execute('insert into killed values (1)');
          await terminate(connection.info.backendPid);
          await untilClosed(connection);
        }),
      ).rejects.toBeInstanceOf(errors.AdminShutdown);
      expect(await admin('select * from killed')).toEqual([]);
    } finally {
      await admin('drop table killed');
    }
  });

  it('never makes a statement escape its transaction, at whatever statement it happens', async () => {
    await admin('create table if not exists escaped (round int, step int)');
    try {
      for (let round = 0; round < 500; round++) {
        const connection = await AsyncConnection.connect(dsn());
        const killAt = round % 6;
        let failed = 0;
        for (let step = 0; step < 6; step++) {
          if (step === killAt) await admin('select pg_terminate_backend($1)', [connection.info.backendPid]);
          try {
            await connection.execute('insert into escaped values (%s, %s)', [round, step]);
          } catch {
            failed++;
          }
          if (failed > 0)
            await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
        }
        if (failed === 0) {
          await untilClosed(connection);
          await expect(connection.commit()).rejects.toBeInstanceOf(errors.OperationalError);
        }
        await connection.close();
      }
      expect(await admin('select * from escaped')).toEqual([]);
    } finally {
      await admin('drop table escaped');
    }
  }, 120_000);

  it('is not replaced behind the back of whoever uses the connection', async () => {
    const target = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
    const connection = await AsyncConnection.connect(dsn({ host: '127.0.0.1', port: proxy.port }));
    await connection.execute('select 1');
    proxy.resetAll();
    await untilClosed(connection);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
    expect(proxy.connections).toHaveLength(1);
    await connection.close();
  });
});

describe('closing', () => {
  it('with everything in flight rejects it all and leaves no backend', async () => {
    const connection = await connect();
    const running = Promise.allSettled([
      connection.execute('select pg_sleep(20)'),
      ...Array.from({ length: 20 }, (_, i) => connection.execute('select %s', [i])),
      connection.commit(),
    ]);
    await connection.close();
    for (const result of await running) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.OperationalError);
    }
    expect(connection.closed).toBe(true);
    expect(connection.broken).toBe(false);
    await connection.close();
    await expect(connection.execute('select 1')).rejects.toThrow('the connection is closed');
  });

  it('is bounded when the server does not answer any more', async () => {
    const target = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
    const idle = await AsyncConnection.connect(dsn({ host: '127.0.0.1', port: proxy.port }));
    proxy.blackHole.add('up').add('down');
    const began = performance.now();
    await idle.close();
    expect(performance.now() - began).toBeLessThan(3000);
  });

  it('rolls back before it resolves, so that a lock is free right after the scope', async () => {
    await admin('create table if not exists locked (id int)');
    try {
      for (let i = 0; i < 20; i++) {
        {
          await using connection = await AsyncConnection.connect(dsn());
          await connection.execute('lock table locked in access exclusive mode');
        }
        await admin(
          "begin; set local lock_timeout = '1ms'; lock table locked in access exclusive mode; rollback",
        );
      }
      expect(await admin('select * from locked')).toEqual([]);
      expect(await backends()).toEqual([]);
    } finally {
      await admin('drop table locked');
    }
  });
});
