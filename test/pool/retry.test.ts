import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  conninfoToDict,
  errors,
  IsolationLevel,
  Rollback,
  type AsyncConnection,
  type PoolTransactionOptions,
  type AsyncConnectionPool,
  type PoolOptions,
} from '../../src/index.js';
import type { RetryMessage } from '../../src/diagnostics.js';
import { isTransient, MayRetry, resolveRetryOptions, retrying } from '../../src/pool/retry.js';
import { admin, makePool, rejection, terminate } from '../support/database.js';
import { FakeClock } from '../support/fake-clock.js';
import { FaultProxy } from '../support/fault-proxy.js';

const SERIALIZABLE = { isolationLevel: IsolationLevel.SERIALIZABLE } as const;

/** Creates tables, and other objects named `retry_…`, for one test. */
async function schema(sql: string): Promise<void> {
  await admin('drop schema if exists retried cascade; create schema retried');
  await admin(`set search_path to retried; ${sql}; reset search_path`);
  onTestFinished(async () => {
    await admin('drop schema retried cascade');
  });
}

/** A deferred trigger on `retried.work`, which runs `body` at the COMMIT. */
function onCommit(body: string): string {
  return `create table work (id int);
    create function retried.at_commit() returns trigger language plpgsql as $$ begin ${body}; return null; end $$;
    create constraint trigger at_commit after insert on work deferrable initially deferred
      for each row execute function retried.at_commit()`;
}

function retriesOf(pool: AsyncConnectionPool): RetryMessage[] {
  const messages: RetryMessage[] = [];
  const listen = (message: unknown): void => {
    if ((message as RetryMessage).pool === pool.name) messages.push(message as RetryMessage);
  };
  subscribe('usingpg:retry', listen);
  onTestFinished(() => {
    unsubscribe('usingpg:retry', listen);
  });
  return messages;
}

const serializationFailure = (connection: AsyncConnection): Promise<unknown> =>
  connection.execute("do $$ begin raise exception using errcode = '40001', message = 'busy'; end $$");

// Promise 28: a transaction is repeated after 40001 and 40P01, and after no other error.
describe('withTransaction() of a pool', () => {
  it('keeps an invariant that write skew would break, over 2,000 transactions of 20 workers', async () => {
    await schema(`create table doctor (ward int, name int, on_call boolean, primary key (ward, name));
      insert into doctor select ward, name, true from generate_series(1, 5) ward, generate_series(1, 3) name`);
    const pool = makePool({ minSize: 4, maxSize: 20 });
    const retries = retriesOf(pool);
    let runs = 0;
    let done = 0;
    let violations = 0;
    await Promise.all(
      Array.from({ length: 20 }, async (_, worker) => {
        for (let i = 0; i < 100; i++) {
          const ward = 1 + ((worker + i) % 5);
          await pool.withTransaction(
            async (connection) => {
              runs++;
              const cursor = await connection.execute(
                'select name from retried.doctor where ward = %s and on_call order by name',
                [ward],
              );
              const names = (await cursor.fetchall()).map(([name]) => name as number);
              if (names.length === 0) violations++;
              // Each may leave as long as another remains; two who leave at once would leave none.
              const [name, onCall] =
                names.length > 1 ? [names[worker % names.length]!, false] : [1 + (worker % 3), true];
              await connection.execute(
                'update retried.doctor set on_call = %s where ward = %s and name = %s',
                [onCall, ward, name],
              );
            },
            { ...SERIALIZABLE, retries: 100 },
          );
          done++;
        }
      }),
    );
    expect(done).toBe(2000);
    expect(violations).toBe(0);
    const left = await admin<{ ward: number }>(
      'select ward from retried.doctor group by ward having not bool_or(on_call)',
    );
    expect(left).toEqual([]);
    expect(retries.length).toBeGreaterThan(0);
    expect(runs).toBe(2000 + retries.length);
    for (const { error } of retries) expect(['40001', '40P01']).toContain((error as errors.Error).sqlstate);
    expect(pool.getStats().poolAvailable).toBe(pool.getStats().poolSize);
  }, 300_000);

  it('repeats the victim of a deadlock', async () => {
    await schema('create table account (id int, balance int); insert into account values (1, 0), (2, 0)');
    const pool = makePool({ minSize: 2 }, { options: '-c deadlock_timeout=50ms' });
    const retries = retriesOf(pool);
    let both = 0;
    const pay = (first: number, second: number): Promise<void> =>
      pool.withTransaction(async (connection) => {
        await connection.execute('update retried.account set balance = balance + 1 where id = %s', [first]);
        both++;
        while (both < 2) await sleep(1);
        await connection.execute('update retried.account set balance = balance + 1 where id = %s', [second]);
      });
    await Promise.all([pay(1, 2), pay(2, 1)]);
    // On a loaded machine the victim may be back before the other one has got its lock: they meet again.
    expect(retries.length).toBeGreaterThan(0);
    for (const { error } of retries) expect(error).toBeInstanceOf(errors.DeadlockDetected);
    expect(await admin('select balance from retried.account')).toEqual([{ balance: 2 }, { balance: 2 }]);
  });

  it('repeats a transaction whose COMMIT fails', async () => {
    await schema(
      `create sequence attempt; ${onCommit("if nextval('retried.attempt') < 3 then raise exception using errcode = '40001'; end if")}`,
    );
    const pool = makePool();
    const retries = retriesOf(pool);
    let runs = 0;
    const result = await pool.withTransaction(async (connection) => {
      await connection.execute('insert into retried.work values (%s)', [++runs]);
      return runs;
    });
    expect(result).toBe(3);
    expect(retries.map(({ retry }) => retry)).toEqual([1, 2]);
    expect(await admin('select id from retried.work')).toEqual([{ id: 3 }]);
  });

  it('uses another connection for each attempt, and makes the previous one unusable', async () => {
    const pool = makePool({ maxSize: 1 });
    const connections: AsyncConnection[] = [];
    let late: Promise<unknown> = Promise.resolve();
    await pool.withTransaction(async (connection) => {
      connections.push(connection);
      if (connections.length > 1) {
        // Code left over from the first attempt cannot act in the second one's transaction.
        await expect(connections[0]!.execute('select 1')).rejects.toBeInstanceOf(errors.InterfaceError);
        return;
      }
      await connection.execute('select 1');
      const failing = serializationFailure(connection);
      late = connection.execute('select pg_sleep(20)').catch((error: unknown) => error);
      await failing;
    });
    expect(connections).toHaveLength(2);
    expect(connections[0]!.closed && connections[1]!.closed).toBe(true);
    expect(await late).toBeInstanceOf(errors.Error);
    expect(pool.getStats()).toMatchObject({ requestsNum: 2, returnsBad: 0, poolAvailable: 1 });
  });

  it.each([
    ['of the application', () => Promise.reject(new Error('no')), Error],
    ['of the data', (c: AsyncConnection) => c.execute('select 1 / 0'), errors.DivisionByZero],
    [
      'of a lock',
      (c: AsyncConnection) => c.execute("do $$ begin raise exception using errcode = '55P03'; end $$"),
      errors.LockNotAvailable,
    ],
    [
      'of the connection',
      (c: AsyncConnection) => terminate(c.info.backendPid).then(() => c.execute('select 1')),
      errors.AdminShutdown,
    ],
    [
      'of its own SQL that ended it',
      async (c: AsyncConnection) => {
        await c.execute('commit');
        throw new errors.SerializationFailure('busy');
      },
      errors.SerializationFailure,
    ],
    [
      'of its own block that ended it',
      async (_c: AsyncConnection, t: { commit(): Promise<void> }) => {
        await t.commit();
        throw new errors.SerializationFailure('busy');
      },
      errors.SerializationFailure,
    ],
  ] as const)('does not repeat after an error %s', async (_whose, act, Class) => {
    const pool = makePool();
    const retries = retriesOf(pool);
    let runs = 0;
    const error = await rejection(
      pool.withTransaction((connection, transaction) => {
        runs++;
        return act(connection, transaction);
      }),
    );
    expect(error).toBeInstanceOf(Class);
    expect(error).not.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(runs).toBe(1);
    expect(retries).toEqual([]);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
  });

  it.each<[string, PoolOptions, (conn: AsyncConnection) => Promise<unknown>, number[]]>([
    ['COMMIT', {}, (conn) => conn.execute('COMMIT'), [1]],
    ['COMMIT AND CHAIN', {}, (conn) => conn.execute('COMMIT AND CHAIN'), [1]],
    ['END, before a new BEGIN in one text', {}, (conn) => conn.execute('END; BEGIN'), [1]],
    [
      'COMMIT, before what fails in one text',
      {},
      (conn) =>
        conn.execute(
          "COMMIT; BEGIN; DO $$ BEGIN RAISE EXCEPTION USING errcode = '40001', message = 'busy'; END $$",
        ),
      [1],
    ],
    ['tx.commit()', {}, () => Promise.resolve('commit'), [1]],
    [
      'ROLLBACK, before a statement in autocommit',
      { connectOptions: { autocommit: true } },
      async (conn) => {
        await conn.execute('ROLLBACK');
        await conn.execute('INSERT INTO retried.work VALUES (2)');
        await conn.execute('BEGIN');
      },
      [2],
    ],
  ])('does not repeat after a %s within the transaction', async (_, options, end, left) => {
    await schema('create table work (id int)');
    const pool = makePool(options);
    const retries = retriesOf(pool);
    const error = await rejection(
      pool.withTransaction(async (connection, transaction) => {
        await connection.execute('INSERT INTO retried.work VALUES (1)');
        if ((await end(connection)) === 'commit') await transaction.commit();
        await serializationFailure(connection);
      }),
    );
    expect(error).toBeInstanceOf(errors.SerializationFailure);
    expect(retries).toEqual([]);
    expect(await admin('select id from retried.work')).toEqual(left.map((id) => ({ id })));
  });

  it('repeats a transaction whose own end was a rollback', async () => {
    await schema('create table work (id int)');
    const pool = makePool();
    let runs = 0;
    await pool.withTransaction(async (connection) => {
      await connection.execute('INSERT INTO retried.work VALUES (1)');
      if (++runs > 1) return;
      await connection.execute('ROLLBACK');
      await serializationFailure(connection);
    });
    expect(runs).toBe(2);
    expect(await admin('select id from retried.work')).toEqual([{ id: 1 }]);
  });

  it.each([0, 2])('gives up after %s retries, with the last error unchanged', async (retries) => {
    const pool = makePool();
    let runs = 0;
    const error = await rejection(
      pool.withTransaction(
        (connection) => {
          runs++;
          return serializationFailure(connection);
        },
        { retries },
      ),
    );
    expect(error).toBeInstanceOf(errors.SerializationFailure);
    expect(error.message).toContain('busy');
    expect(runs).toBe(retries + 1);
  });

  it('stops when it is aborted, also between two attempts', async () => {
    const pool = makePool();
    const controller = new AbortController();
    let runs = 0;
    const error = await rejection(
      pool.withTransaction(
        (connection) => {
          if (++runs === 3) controller.abort(new Error('enough'));
          return serializationFailure(connection);
        },
        { retries: 1000, signal: controller.signal },
      ),
    );
    expect(error.message).toBe('enough');
    expect(runs).toBe(3);
  });

  it('resolves with undefined after a Rollback, and undoes everything', async () => {
    await schema('create table work (id int)');
    const pool = makePool();
    const result = await pool.withTransaction<string>(async (connection) => {
      await connection.execute('insert into retried.work values (1)');
      throw new Rollback();
    });
    expect(result).toBeUndefined();
    const kept = await pool.withTransaction(async (connection, transaction) => {
      await connection.execute('insert into retried.work values (2)');
      const inner = await connection.withTransaction<string>(async () => {
        await connection.execute('insert into retried.work values (3)');
        throw new Rollback();
      });
      expect(transaction.active).toBe(true);
      return inner ?? 'kept';
    });
    expect(kept).toBe('kept');
    expect(await admin('select id from retried.work')).toEqual([{ id: 2 }]);
  });

  it('does not report a failed transaction as committed', async () => {
    await schema('create table work (id int)');
    const pool = makePool();
    const error = await rejection(
      pool.withTransaction(async (connection) => {
        await connection.execute('insert into retried.work values (1)');
        await connection.execute('selec').catch(() => undefined);
        return 'done';
      }),
    );
    expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(error.message).toContain('nothing was committed');
    expect(await admin('select id from retried.work')).toEqual([]);
  });
});

// Promise 28: a transaction that may be committed is never repeated.
describe('a transaction whose COMMIT was not answered', () => {
  it('rejects with an unknown outcome, and is not repeated', async () => {
    await schema(onCommit('perform pg_sleep(20)'));
    const pool = makePool();
    let runs = 0;
    let pid = 0;
    const running = rejection(
      pool.withTransaction(async (connection) => {
        runs++;
        pid = connection.info.backendPid;
        await connection.execute('insert into retried.work values (1)');
      }),
    );
    await expect
      .poll(() => admin("select 1 from pg_stat_activity where pid = $1 and query ilike 'commit%'", [pid]))
      .toHaveLength(1);
    await terminate(pid);
    const error = await running;
    expect(error).toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.constructor).toBe(errors.TransactionOutcomeUnknown);
    expect(error.name).toBe('TransactionOutcomeUnknown');
    expect(error.message).toMatch(/may be committed or not \(.*terminating connection/);
    expect(error.cause).toBeInstanceOf(errors.AdminShutdown);
    expect([error.sqlstate, error.query]).toEqual(['57P01', 'COMMIT']);
    expect(isTransient(error)).toBe(false);
    expect(runs).toBe(1);
    expect((await pool.execute('select count(*)::int from retried.work')).rows).toEqual([[0]]);
  });

  it('may be committed, if only the answer was lost', async () => {
    await schema('create table work (id int)');
    const target = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
    const pool = makePool({}, { host: '127.0.0.1', port: proxy.port });
    let runs = 0;
    const running = rejection(
      pool.withTransaction(async (connection) => {
        runs++;
        await connection.execute('insert into retried.work values (1)');
        proxy.blackHole.add('down');
      }),
    );
    await expect.poll(() => admin('select id from retried.work')).toEqual([{ id: 1 }]);
    proxy.resetAll();
    expect(await running).toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(runs).toBe(1);
    proxy.blackHole.clear();
    expect((await pool.execute('select count(*)::int from retried.work')).rows).toEqual([[1]]);
  });

  it('is distinguished from one that was lost before, whether its user has noticed or not', async () => {
    await schema('create table work (id int)');
    const pool = makePool();
    for (const notices of [true, false]) {
      let runs = 0;
      const error = await rejection(
        pool.withTransaction(async (connection) => {
          runs++;
          await connection.execute('insert into retried.work values (1)');
          await terminate(connection.info.backendPid);
          while (!connection.closed) await sleep(1);
          if (notices) await connection.execute('select 1').catch(() => undefined);
        }),
      );
      expect(error).toBeInstanceOf(errors.AdminShutdown);
      expect(error).not.toBeInstanceOf(errors.TransactionOutcomeUnknown);
      expect(runs).toBe(1);
    }
    expect(await admin('select id from retried.work')).toEqual([]);
  });

  it('has a known outcome if the server has answered, whatever the answer', async () => {
    await schema(onCommit("raise exception using errcode = '23514', message = 'not like this'"));
    const pool = makePool();
    const error = await rejection(
      pool.withTransaction((connection) => connection.execute('insert into retried.work values (1)')),
    );
    expect(error).toBeInstanceOf(errors.CheckViolation);
    expect(pool.getStats().returnsBad).toBe(0);
  });
});

describe('the settings of withTransaction()', () => {
  it('apply to the transaction, and leave the connection unchanged', async () => {
    const pool = makePool({
      maxSize: 1,
      configure: (connection) => connection.setIsolationLevel(IsolationLevel.REPEATABLE_READ),
    });
    const show = async (connection: AsyncConnection): Promise<unknown> =>
      (
        await connection.execute(
          `select current_setting('transaction_isolation'), current_setting('transaction_read_only'),
             current_setting('transaction_deferrable')`,
        )
      ).fetchone();
    const settingsOf = ({ isolationLevel, readOnly, deferrable, autocommit }: AsyncConnection): unknown[] => [
      isolationLevel,
      readOnly,
      deferrable,
      autocommit,
    ];
    expect(await pool.withTransaction(show, { ...SERIALIZABLE, readOnly: true, deferrable: true })).toEqual([
      'serializable',
      'on',
      'on',
    ]);
    await expect(
      pool.withTransaction((connection) => connection.execute('create temp table t (id int)'), {
        readOnly: true,
      }),
    ).rejects.toBeInstanceOf(errors.ReadOnlySqlTransaction);
    expect(await pool.withTransaction(show)).toEqual(['repeatable read', 'off', 'off']);
    expect(await pool.withTransaction(show, { isolationLevel: null })).toEqual([
      'read committed',
      'off',
      'off',
    ]);
    await using connection = await pool.connection();
    expect(settingsOf(connection)).toEqual([IsolationLevel.REPEATABLE_READ, null, null, false]);
  });

  it('apply on a connection in autocommit, too', async () => {
    await schema('create table work (id int)');
    const pool = makePool({ connectOptions: { autocommit: true } });
    await expect(
      pool.withTransaction(async (connection) => {
        await connection.execute('insert into retried.work values (1)');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await pool.withTransaction((connection) => connection.execute('insert into retried.work values (2)'));
    expect(await admin('select id from retried.work')).toEqual([{ id: 2 }]);
  });

  it('are checked before anything happens', async () => {
    const pool = makePool({ open: false });
    for (const options of [
      { isolationLevel: 'serializable' },
      { readOnly: 1 },
      { deferrable: 'yes' },
      { retries: -1 },
      { retries: 1.5 },
      // If the misspelt option were ignored, the transaction would be weaker than requested.
      { isolation: 'SERIALIZABLE' },
    ] as unknown as PoolTransactionOptions[]) {
      await expect(pool.withTransaction(() => Promise.resolve(), options)).rejects.toBeInstanceOf(
        errors.ProgrammingError,
      );
    }
    expect(pool.getStats().requestsNum).toBe(0);
    expect(resolveRetryOptions({}).retries).toBe(5);
  });
});

describe('the pauses between attempts', () => {
  const paceOf = async (random: number): Promise<number[]> => {
    const clock = new FakeClock();
    const delays: number[] = [];
    let runs = 0;
    const running = retrying(() => Promise.resolve(++runs < 10 ? new MayRetry(new Error('busy')) : 'done'), {
      retries: 20,
      signal: undefined,
      clock,
      random: () => random,
      onRetry: (_error, _retry, delay) => delays.push(delay),
    });
    while (runs < 10) {
      await new Promise((resolve) => setImmediate(resolve));
      const before = runs;
      clock.advance((delays.at(-1) ?? 0) - 0.001);
      await new Promise((resolve) => setImmediate(resolve));
      expect(runs).toBe(before);
      clock.advance(0.002);
    }
    expect(await running).toBe('done');
    expect(clock.pending).toBe(0);
    return delays;
  };

  it('double from at most 10 ms to at most a second, and half of each is random', async () => {
    const longest = await paceOf(1);
    expect(longest).toEqual([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1, 1]);
    expect(await paceOf(0)).toEqual(longest.map((delay) => delay / 2));
  });
});
