import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { rowDecoders } from '../../src/types/decoders.js';
import { errors, TransactionStatus, tupleRow } from '../../src/index.js';
import type { Session } from '../../src/session/session.js';
import type { StatementResult } from '../../src/session/statement.js';
import { backends, dsn, terminate } from '../support/database.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';
import type { ExclusiveLock } from '../../src/session/queue.js';
import { openSession, statement, value } from './open-session.js';

async function rejection(promise: Promise<unknown>): Promise<errors.Error> {
  return promise.then(
    () => {
      throw new Error('it should have been rejected');
    },
    (error: unknown) => error as errors.Error,
  );
}

async function one(
  session: Session,
  text: string,
  params: readonly unknown[] | null = null,
): Promise<unknown> {
  return value(await session.submit(statement(text, params)));
}

describe('statements', () => {
  it('are answered in the order of submission, by either protocol', async () => {
    const { session } = await openSession();
    const answered: number[] = [];
    const values = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const text = i % 7 === 0 ? `SELECT ${String(i)}; SELECT ${String(i)}` : `SELECT ${String(i)}`;
        const params = i % 3 === 0 ? null : [i];
        const got = await one(session, params === null ? text : 'SELECT $1::int', params);
        answered.push(i);
        return got;
      }),
    );
    expect(values).toEqual([...values.keys()]);
    expect(answered).toEqual([...values.keys()]);
  });

  it('see the transaction status that earlier ones leave', async () => {
    const { session } = await openSession();
    const begin = { begin: 'BEGIN' };
    const id = 'SELECT pg_current_xact_id()::text';
    const [first, second, , third, , inside] = await Promise.all([
      session.submit(statement(id, [], begin)),
      session.submit(statement(id, [], begin)),
      session.submit(statement('COMMIT')),
      session.submit(statement(id, [], begin)),
      session.submit(statement('COMMIT; BEGIN')),
      session.submit(statement(id, [], begin)),
    ]);
    expect(value(second)).toBe(value(first));
    expect(value(third)).not.toBe(value(first));
    expect(value(inside)).not.toBe(value(third));
    expect(session.transactionStatus).toBe(TransactionStatus.INTRANS);
    await session.rollback();
    expect(session.transactionStatus).toBe(TransactionStatus.IDLE);
    expect(await session.submit(statement('ROLLBACK', null, { onlyIf: 'in transaction' }))).toEqual([]);
  });

  it('each have a result, in the order of their text', async () => {
    const { session } = await openSession();
    const results = await session.submit(
      statement("SELECT 1; SET LOCAL work_mem = '1MB'; SELECT 'two' AS b; ;"),
    );
    expect(results.map(({ tag, rows }) => [tag, rows])).toEqual([
      ['SELECT 1', [[1]]],
      ['SET', []],
      ['SELECT 1', [['two']]],
    ]);
    expect(results[2]?.fields?.map(({ name }) => name)).toEqual(['b']);
    const [empty] = await session.submit(statement(''));
    expect(empty).toMatchObject({ tag: null, rows: [], fields: null });
  });

  it('that fail do not affect earlier and later ones', async () => {
    const { session } = await openSession();
    const [before, failed, behind] = await Promise.allSettled([
      one(session, 'SELECT $1::int', [1]),
      one(session, 'SELECT 1 / $1::int', [0]),
      one(session, 'SELECT $1::int', [2]),
    ]);
    expect(before).toEqual({ status: 'fulfilled', value: 1 });
    expect((failed as PromiseRejectedResult).reason).toBeInstanceOf(errors.DivisionByZero);
    expect(behind).toEqual({ status: 'fulfilled', value: 2 });
  });

  it('whose loader throws fail alone, and all later rows are read', async () => {
    const { session } = await openSession();
    const moody = adapters.clone();
    moody.registerLoader('int4', (text) => {
      if (text === '500') throw new RangeError('not this one');
      return Number(text);
    });
    const text = 'SELECT generate_series(1, $1::int)';
    const [before, failed, behind] = await Promise.allSettled([
      session.submit(statement(text, [499], { rows: rowDecoders(moody, tupleRow) })),
      session.submit(statement(text, [5000], { rows: rowDecoders(moody, tupleRow) })),
      session.submit(statement(text, [20_000])),
    ]);
    expect((before as PromiseFulfilledResult<readonly StatementResult[]>).value[0]?.rows).toHaveLength(499);
    const { reason } = failed as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(errors.DataError);
    expect((reason as Error).cause).toBeInstanceOf(RangeError);
    expect((behind as PromiseFulfilledResult<readonly StatementResult[]>).value[0]?.rows).toHaveLength(
      20_000,
    );
  });
});

describe('a BEGIN that fails', () => {
  it.each([
    ['an extended statement', 'SELECT set_config($1, $2, false)', ['usingpg.ran', 'yes']],
    ['a simple statement', "SELECT set_config('usingpg.ran', 'yes', false)", null],
    ['several statements', "SELECT set_config('usingpg.ran', 'yes', false); SELECT 1", null],
  ])('keeps %s from being executed', async (_, text, params) => {
    const { session } = await openSession();
    await session.submit(statement("SET usingpg.ran = 'no'"));
    const failed = rejection(
      session.submit(statement(text, params, { begin: 'BEGIN ISOLATION LEVEL NONSENSE' })),
    );
    const behind = one(session, "SELECT current_setting('usingpg.ran')");
    expect(await failed).toBeInstanceOf(errors.SyntaxError);
    expect(await behind).toBe('no');
    expect(session.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('in a pipeline is followed by another BEGIN after the Sync', async () => {
    const { session } = await openSession();
    session.beginPipeline();
    const failing = rejection(
      session.submit(statement('SELECT 1', [], { begin: 'BEGIN ISOLATION LEVEL NONSENSE' })),
    );
    const synced = session.sync();
    const next = session.submit(statement('SELECT 2', [], { begin: 'BEGIN' }));
    const ended = session.sync();
    expect(await failing).toBeInstanceOf(errors.Error);
    await synced;
    expect(value(await next)).toBe(2);
    await ended;
    // It has not run outside of a transaction.
    expect(session.transactionStatus).toBe('INTRANS');
    session.endPipeline();
    await session.rollback();
  });
});

describe('prepared statements', () => {
  const prepared = async (session: Session): Promise<string[]> =>
    (await session.submit(statement('SELECT statement FROM pg_prepared_statements ORDER BY 1')))[0]!.rows.map(
      String,
    );

  it('are those executed more often than the threshold', async () => {
    const { session } = await openSession();
    const often = { policy: { threshold: 2, max: 10 } };
    for (let i = 0; i < 2; i++) await session.submit(statement('SELECT $1::int', [i], often));
    expect(await prepared(session)).toEqual([]);
    await session.submit(statement('SELECT $1::int', [2], often));
    expect(await prepared(session)).toEqual(['SELECT $1::int']);
    await session.submit(statement('SELECT $1::text', ['never'], { policy: { threshold: null, max: 10 } }));
    await session.submit(statement('SELECT $1::text', ['now'], { prepare: true }));
    expect(await prepared(session)).toEqual(['SELECT $1::int', 'SELECT $1::text']);
  });

  it('never exceed the maximum, and the least recently used is evicted first', async () => {
    const { session } = await openSession();
    const few = { policy: { threshold: 0, max: 3 } };
    const use = (n: number): Promise<unknown> =>
      session.submit(statement(`SELECT ${String(n)} + $1::int`, [n], few));
    await Promise.all(Array.from({ length: 50 }, (_, i) => use(i)));
    expect(await prepared(session)).toEqual([
      'SELECT 47 + $1::int',
      'SELECT 48 + $1::int',
      'SELECT 49 + $1::int',
    ]);
    await use(47);
    await use(50);
    expect(await prepared(session)).toEqual([
      'SELECT 47 + $1::int',
      'SELECT 49 + $1::int',
      'SELECT 50 + $1::int',
    ]);
  });

  it.each(['DISCARD ALL', 'DEALLOCATE ALL'])('are prepared again after %s', async (text) => {
    const { session } = await openSession();
    const kept = { prepare: true };
    for (let i = 0; i < 3; i++) {
      expect(value(await session.submit(statement('SELECT $1::int', [i], kept)))).toBe(i);
      await session.submit(statement(text));
    }
    expect(await prepared(session)).toEqual([]);
  });

  it('keep the columns and the types of their parameters apart', async () => {
    const { session } = await openSession();
    for (let i = 0; i < 3; i++) {
      const results = await Promise.all(
        [1, 1.5, 2n].map((param) =>
          session.submit(statement('SELECT $1, pg_typeof($1)::text', [param], { prepare: true })),
        ),
      );
      expect(results.map(([result]) => result?.rows[0])).toEqual([
        [1, 'smallint'],
        [1.5, 'double precision'],
        [2n, 'bigint'],
      ]);
    }
    expect(await prepared(session)).toHaveLength(3);
  });
});

describe('more parameters than the protocol can count', () => {
  it('are refused, and the session stays usable', async () => {
    const { session } = await openSession();
    const params = Array.from({ length: 65_536 }, () => null);
    const text = `SELECT ${params.map((_, i) => `$${String(i + 1)}::int`).join(' IS NULL AND ')} IS NULL`;
    expect(await rejection(session.submit(statement(text, params)))).toBeInstanceOf(errors.DatabaseError);
    expect(await one(session, 'SELECT $1::int', [1])).toBe(1);
  });
});

describe('COPY', () => {
  it.each(['COPY (SELECT generate_series(1, 1000)) TO STDOUT', 'COPY copied FROM STDIN'])(
    'by either protocol is refused, and the session stays usable: %s',
    async (text) => {
      const { session } = await openSession();
      await session.submit(statement('CREATE TEMP TABLE copied (id int)'));
      for (const params of [null, []]) {
        const refused = rejection(session.submit(statement(text, params)));
        const behind = one(session, 'SELECT count(*) FROM copied', []);
        expect(await refused).toBeInstanceOf(errors.ProgrammingError);
        expect(await behind).toBe(0n);
      }
    },
  );
});

describe('a backend that is terminated', () => {
  it.each([
    ['idle', null],
    ['in a transaction', 'BEGIN'],
  ])('while %s rejects the next statement with its reason', async (_, text) => {
    const { session } = await openSession();
    if (text !== null) await session.submit(statement(text));
    const lost = new Promise<Error>((resolve) => session.onLost(resolve));
    await terminate(session.backendPid);
    expect(await lost).toBeInstanceOf(errors.AdminShutdown);
    expect(await rejection(one(session, 'SELECT 1'))).toBeInstanceOf(errors.AdminShutdown);
    expect(session).toMatchObject({
      closed: true,
      broken: true,
      transactionStatus: TransactionStatus.UNKNOWN,
    });
  });

  it('while a statement runs rejects running and waiting statements with its reason', async () => {
    const { session } = await openSession();
    const all = [
      rejection(one(session, 'SELECT pg_sleep(60)', [])),
      rejection(one(session, 'SELECT $1::int', [1])),
      rejection(one(session, 'COMMIT')),
    ];
    await untilRunning(dsn(), session.backendPid);
    await terminate(session.backendPid);
    for (const failed of all) expect(await failed).toBeInstanceOf(errors.AdminShutdown);
  });
});

describe('aborting', () => {
  it('a statement that waits drops it, and it is never executed', async () => {
    const { session } = await openSession();
    const held = await heldStatement();
    const running = one(session, held.text, []);
    const controller = new AbortController();
    const waiting = rejection(
      session.submit(statement("SET usingpg.ran = 'yes'", null, { signal: controller.signal })),
    );
    const reason = new Error('changed my mind');
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(session.transactionStatus).toBe(TransactionStatus.ACTIVE);
    await held.release();
    await running;
    expect(await one(session, "SELECT current_setting('usingpg.ran', true)")).toBeNull();
  });

  it('a statement that runs cancels it, and the session stays usable', async () => {
    const { session } = await openSession();
    const reason = new Error('took too long');
    const controller = new AbortController();
    const running = rejection(
      session.submit(statement('SELECT pg_sleep(60)', [], { signal: controller.signal })),
    );
    await untilRunning(dsn(), session.backendPid);
    controller.abort(reason);
    expect(await running).toBe(reason);
    expect(await one(session, 'SELECT 1')).toBe(1);
  });

  it('before a statement is submitted sends nothing', async () => {
    const { session } = await openSession();
    const reason = new Error('before');
    expect(
      await rejection(session.submit(statement('SELECT 1', null, { signal: AbortSignal.abort(reason) }))),
    ).toBe(reason);
    expect(session.quiet).toBe(true);
  });

  it('never hits the next statement, however the two race', async () => {
    const { session } = await openSession();
    const ROUNDS = 200;
    let cancelled = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const controller = new AbortController();
      const reason = new Error('abort');
      // Some statements run until they are aborted.
      const seconds = round % 20 === 0 ? 60 : (round % 10) / 2000;
      const first = session
        .submit(statement('SELECT pg_sleep($1)', [seconds], { signal: controller.signal }))
        .then(
          () => undefined,
          (error: unknown) => {
            expect(error).toBe(reason);
            cancelled++;
          },
        );
      const second = one(session, 'SELECT pg_sleep(0.001), $1::int', [round]);
      await sleep((round % 7) / 2);
      controller.abort(reason);
      await first;
      await expect(second).resolves.toBe('');
      expect(await one(session, 'SELECT $1::int', [round])).toBe(round);
    }
    expect(cancelled).toBeGreaterThanOrEqual(ROUNDS / 20);
  });

  it('twice, as two tasks may at once, costs the session nothing', async () => {
    const { session } = await openSession();
    const running = rejection(one(session, 'SELECT pg_sleep(60)', []));
    await untilRunning(dsn(), session.backendPid);
    await Promise.all([session.cancelRunning(), session.cancelRunning()]);
    expect(await running).toBeInstanceOf(errors.QueryCanceled);
    // Longer than a cancel request may take.
    await sleep(6000);
    expect(await one(session, 'SELECT 1')).toBe(1);
  });

  it('through a cancel request that gets no answer does not hold up the session once the statement has ended', async () => {
    const { session, address } = await openSession();
    const clients = new Set<Socket>();
    const silent = createServer((client) => clients.add(client)).listen(0, '127.0.0.1');
    onTestFinished(() => {
      for (const client of clients) client.destroy();
      silent.close();
    });
    await new Promise((resolve) => silent.once('listening', resolve));
    const held = await heldStatement();
    const running = one(session, held.text, []);
    await untilRunning(dsn(), session.backendPid);
    address.port = (silent.address() as AddressInfo).port;
    const cancelling = session.cancelRunning();
    await held.release();
    await running;
    const settled = await Promise.race([
      Promise.allSettled([one(session, 'SELECT 1'), cancelling]).then(() => 'settled'),
      sleep(30_000, 'held up', { ref: false }),
    ]);
    expect(settled).toBe('settled');
  });
});

describe('closing', () => {
  it('ends running and waiting statements, and leaves no backend', async () => {
    const { session } = await openSession();
    const { backendPid } = session;
    const all = [
      rejection(one(session, 'SELECT pg_sleep(60)', [])),
      rejection(one(session, 'SELECT pg_sleep(60)', [])),
      rejection(one(session, 'SELECT 1; SELECT 2')),
      rejection(session.inTurn(() => 'never')),
    ];
    await untilRunning(dsn(), session.backendPid);
    const began = performance.now();
    await Promise.all([session.close(), session.close()]);
    // Long before the running statement would end by itself.
    expect(performance.now() - began).toBeLessThan(30_000);
    for (const failed of all) expect(await failed).toBeInstanceOf(errors.OperationalError);
    expect(session).toMatchObject({ closed: true, broken: false });
    await expect.poll(backends).not.toContain(backendPid);
    expect(await rejection(one(session, 'SELECT 1'))).toBeInstanceOf(errors.OperationalError);
    await session.close();
  });

  it('does not mark the session as lost', async () => {
    const { session } = await openSession();
    let lost = 0;
    session.onLost(() => lost++);
    await session.close();
    expect(lost).toBe(0);
  });
});

describe('turns', () => {
  it('come after all earlier answers, and hold back statements of others', async () => {
    const { session } = await openSession();
    const order: string[] = [];
    const note = (name: string) => (): number => order.push(name);
    await Promise.all([
      one(session, 'SELECT pg_sleep(0.05)', []).then(note('before')),
      session.exclusively(async (hold, status) => {
        expect(status).toBe(TransactionStatus.IDLE);
        await sleep(20);
        await session.submit(statement('BEGIN'), hold);
        await session.rollback(hold);
        note('held')();
      }),
      one(session, 'SELECT 1').then(note('behind')),
    ]);
    expect(order).toEqual(['before', 'held', 'behind']);
  });

  it('that end before all their statements were sent leave them at the head of the queue', async () => {
    const { session } = await openSession();
    const order: number[] = [];
    const submit = (text: string, n: number, lock?: ExclusiveLock): Promise<unknown> =>
      session.submit(statement(text), lock).then(() => order.push(n));
    let last!: Promise<unknown>;
    const mine = session.exclusively((lock) => {
      last = Promise.all([submit('BEGIN', 1, lock), submit('COMMIT', 2, lock), submit('BEGIN', 3, lock)]);
      return Promise.resolve();
    });
    const behind = submit('ROLLBACK', 4);
    await mine;
    await last;
    await behind;
    expect(order).toEqual([1, 2, 3, 4]);
  });

  it('that throw reject their caller, and the next turn comes', async () => {
    const { session } = await openSession();
    const failed = rejection(
      session.inTurn(() => {
        throw new RangeError('own fault');
      }),
    );
    const next = session.inTurn((status) => status);
    expect(await failed).toBeInstanceOf(RangeError);
    expect(await next).toBe(TransactionStatus.IDLE);
  });
});
