import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AsyncClientCursor, errors, Rollback, type AsyncConnection, type Params } from '../../src/index.js';
import { admin, connect, dsn, makePool, rejection, terminate } from '../support/database.js';
import { untilRunning } from '../support/until-running.js';

/** More executions than are sent at once. */
const MANY = 2100;

beforeAll(async () => {
  await admin('CREATE TABLE many_batch (i int CHECK (i >= 0)); CREATE TABLE many_other (i int)');
});
beforeEach(async () => {
  await admin('TRUNCATE many_batch, many_other');
});
afterAll(async () => {
  await admin('DROP TABLE many_batch, many_other');
});

const INSERT = 'INSERT INTO many_batch VALUES (%s)';

async function count(table: 'many_batch' | 'many_other'): Promise<number> {
  const [row] = await admin<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return row!.n;
}

/** A gate, and a promise that resolves when something waits at it. */
function gate(): { reached: Promise<void>; pass: () => Promise<void>; open: () => void } {
  let arrive!: () => void;
  let open!: () => void;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  const pass = (): Promise<void> => {
    arrive();
    return opened;
  };
  return { reached, pass, open };
}

/** Yields numbers; the source waits before the last one. */
async function* numbers(
  amount: number,
  last: number,
  before?: () => Promise<void>,
): AsyncGenerator<number[], void, void> {
  for (let i = 0; i < amount; i++) yield [i];
  await before?.();
  yield [last];
}

/** A source that never yields, and does not answer `return()`, either. */
function silent(first = 0): AsyncIterable<number[]> & { left: number } {
  let given = 0;
  const source = {
    left: 0,
    [Symbol.asyncIterator]: () => ({
      next: () =>
        given++ < first
          ? Promise.resolve({ done: false as const, value: [given] })
          : new Promise<never>(() => undefined),
      return: () => {
        source.left++;
        return new Promise<never>(() => undefined);
      },
    }),
  };
  return source;
}

const cursors = {
  'a cursor': (conn: AsyncConnection) => conn.cursor(),
  'a client cursor': (conn: AsyncConnection) => new AsyncClientCursor(conn),
};

describe.each(Object.entries(cursors))(
  'executemany() of %s in autocommit, from an asynchronous source',
  (_, make) => {
    it('keeps writes of other cursors out of its transaction', async () => {
      const conn = await connect({ autocommit: true });
      const { reached, pass, open } = gate();
      const failed = rejection(make(conn).executemany(INSERT, numbers(MANY, -1, pass)));
      await reached;
      const written = conn.execute('INSERT INTO many_other VALUES (1)');
      const block = conn.withTransaction(async () => {
        await conn.execute('INSERT INTO many_other VALUES (2)');
      });
      const tx = conn.cursor().executemany('INSERT INTO many_other VALUES (%s)', [[3], [4]]);
      open();
      expect(await failed).toBeInstanceOf(errors.CheckViolation);
      await Promise.all([written, block, tx]);
      expect([await count('many_batch'), await count('many_other')]).toEqual([0, 4]);
      expect(conn.info.transactionStatus).toBe('IDLE');
    });

    it("is refused while another task's block is open, which is unharmed; and runs within its own", async () => {
      const conn = await connect({ autocommit: true });
      const { reached, pass, open } = gate();
      const block = conn.withTransaction(async () => {
        await conn.execute('INSERT INTO many_other VALUES (1)');
        await make(conn).executemany(INSERT, numbers(2, 7, pass));
      });
      await reached;
      await expect(
        make(conn).executemany(
          INSERT,
          numbers(MANY, 7, () => Promise.resolve()),
        ),
      ).rejects.toThrow(errors.ConcurrentTransaction);
      open();
      await block;
      expect([await count('many_batch'), await count('many_other')]).toEqual([3, 1]);
    });

    it('stores all rows, and waiting statements follow', async () => {
      const conn = await connect({ autocommit: true });
      const { reached, pass, open } = gate();
      const cur = make(conn);
      const stored = cur.executemany(INSERT, numbers(MANY, 7, pass));
      await reached;
      const counted = conn.execute('SELECT count(*)::int FROM many_batch');
      open();
      await stored;
      expect(cur.rowcount).toBe(MANY + 1);
      expect(await (await counted).fetchone()).toEqual([MANY + 1]);
    });

    it.each(['SELECT pg_sleep(0.2)', 'SELECT 1 / length(pg_sleep(0.2)::text)'])(
      'leaves no rows when it fails after a statement in flight: %s',
      async (statement) => {
        const conn = await connect({ autocommit: true });
        const busy = conn.execute(statement).catch(() => undefined);
        const failed = rejection(make(conn).executemany(INSERT, numbers(MANY, -1)));
        await busy;
        expect(await failed).toBeInstanceOf(errors.CheckViolation);
        expect(await count('many_batch')).toBe(0);
        expect(conn.info.transactionStatus).toBe('IDLE');
      },
    );

    it('leaves no rows when its source or a parameter fails later', async () => {
      const conn = await connect({ autocommit: true });
      const failure = new Error('the source is dry');
      const dry = numbers(MANY, 0, () => Promise.reject(failure));
      await expect(make(conn).executemany(INSERT, dry)).rejects.toBe(failure);
      await expect(
        make(conn).executemany(INSERT, numbers(MANY, undefined as unknown as number)),
      ).rejects.toThrow(`[${String(MANY)}]$1: undefined`);
      expect(await count('many_batch')).toBe(0);
      expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
    });

    it('is part of the open transaction, which other statements use meanwhile', async () => {
      const conn = await connect({ autocommit: true });
      await conn.withTransaction(async () => {
        async function* source(): AsyncGenerator<Params> {
          for (let i = 0; i < MANY; i++) {
            if (i % 700 === 0) await conn.execute('INSERT INTO many_other VALUES (%s)', [i]);
            yield [i];
          }
        }
        await make(conn).executemany(INSERT, source());
        expect(await count('many_batch')).toBe(0);
      });
      expect([await count('many_batch'), await count('many_other')]).toEqual([MANY, 3]);
    });

    it.each([2, MANY])(
      'refuses a source that uses the connection, which would wait for ever, before item %i',
      async (at) => {
        const conn = await connect({ autocommit: true });
        let refusal: unknown;
        async function* source(): AsyncGenerator<Params> {
          for (let i = 0; i < MANY; i++) {
            yield [i];
            await Promise.resolve();
            if (i === at - 1) refusal = await conn.execute('SELECT 1').catch((error: unknown) => error);
          }
        }
        await make(conn).executemany(INSERT, source());
        expect(refusal).toBeInstanceOf(errors.ProgrammingError);
        expect((refusal as Error).message).toContain('another connection');
        expect(await count('many_batch')).toBe(MANY);
        expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
      },
    );
  },
);

/** The waits of executemany(), and how each arises. */
const WAITS: Readonly<
  Record<
    string,
    (
      conn: AsyncConnection,
      many: (seq: AsyncIterable<Params> | Iterable<Params>) => Promise<void>,
    ) => Promise<{ running: Promise<void> }>
  >
> = {
  'for its turn': async (conn, many) => {
    conn.execute('SELECT pg_sleep(20)').catch(() => undefined);
    await untilRunning(dsn(), conn.info.backendPid);
    return { running: many([[1], [2], [3]]) };
  },
  'for its turn, with an asynchronous source': async (conn, many) => {
    conn.execute('SELECT pg_sleep(20)').catch(() => undefined);
    await untilRunning(dsn(), conn.info.backendPid);
    const running = many(numbers(MANY, 1));
    await sleep(20);
    return { running };
  },
  'for a silent source': (_, many) => Promise.resolve({ running: many(silent()) }),
  'for a source that has fallen silent': async (_, many) => {
    const running = many(silent(2500));
    await expect
      .poll(
        async () =>
          (
            await admin(
              "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%many_batch%' AND state = 'idle in transaction'",
            )
          ).length,
      )
      .toBe(1);
    return { running };
  },
  'for a lock': async (conn, many) => {
    await admin('BEGIN; LOCK TABLE many_batch');
    const running = many(Array.from({ length: MANY }, (_, i) => [i]));
    await untilRunning(dsn(), conn.info.backendPid);
    return { running };
  },
};

describe.each(Object.entries(WAITS))('executemany() in autocommit that waits %s', (name, begin) => {
  /** Ends the cause of the wait. */
  const release = async (conn: AsyncConnection): Promise<void> => {
    await admin('ROLLBACK');
    if (!conn.closed) await conn.cancelSafe();
  };
  // A silent source stays silent.
  const released = name.includes('silent') ? () => Promise.resolve() : release;

  it('is ended by the close of its cursor, and stores nothing', async () => {
    const conn = await connect({ autocommit: true });
    const cur = conn.cursor();
    const ended = rejection((await begin(conn, (seq) => cur.executemany(INSERT, seq))).running);
    await cur.close();
    expect(await ended).toBeInstanceOf(errors.InterfaceError);
    await released(conn);
    expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
    expect(await count('many_batch')).toBe(0);
  });

  it('is ended by an abort, with its reason, and stores nothing', async () => {
    const conn = await connect({ autocommit: true });
    const controller = new AbortController();
    const cur = conn.cursor();
    const ended = rejection(
      (await begin(conn, (seq) => cur.executemany(INSERT, seq, { signal: controller.signal }))).running,
    );
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await ended).toBe(reason);
    await released(conn);
    expect(await (await cur.execute('SELECT 1')).fetchone()).toEqual([1]);
    expect(await count('many_batch')).toBe(0);
  });

  it('is ended by the close of its connection, and stores nothing', async () => {
    const conn = await connect({ autocommit: true });
    const ended = rejection((await begin(conn, (seq) => conn.cursor().executemany(INSERT, seq))).running);
    await conn.close();
    expect(await ended).toBeInstanceOf(errors.OperationalError);
    await released(conn);
    expect(await count('many_batch')).toBe(0);
  });

  it('is ended by the return of its connection, which the next borrower can use', async () => {
    const pool = makePool({ maxSize: 1, connectOptions: { autocommit: true } });
    const conn = await pool.connection();
    const { backendPid } = conn.info;
    const ended = rejection((await begin(conn, (seq) => conn.cursor().executemany(INSERT, seq))).running);
    await pool.putconn(conn);
    expect(await ended).toBeInstanceOf(errors.InterfaceError);
    await admin('ROLLBACK');
    const next = await pool.withConnection((other) => other.info.backendPid);
    expect(next).toBe(backendPid);
    expect(await count('many_batch')).toBe(0);
  });

  it('is ended by the loss of its connection', async () => {
    const conn = await connect({ autocommit: true });
    const ended = rejection((await begin(conn, (seq) => conn.cursor().executemany(INSERT, seq))).running);
    await terminate(conn.info.backendPid);
    expect(await ended).toBeInstanceOf(errors.OperationalError);
    await admin('ROLLBACK');
    expect(await count('many_batch')).toBe(0);
  });
});

describe('executemany()', () => {
  it.each([true, false])(
    'calls return() of a silent source without waiting for it (autocommit %s)',
    async (autocommit) => {
      const conn = await connect({ autocommit });
      const source = silent(1500);
      const controller = new AbortController();
      const ended = rejection(conn.cursor().executemany(INSERT, source, { signal: controller.signal }));
      controller.abort(new Error('enough'));
      expect((await ended).message).toBe('enough');
      expect(source.left).toBe(1);
      await conn.rollback();
    },
  );

  it('whose signal was aborted before takes nothing from its source', async () => {
    const conn = await connect();
    let taken = 0;
    async function* source(): AsyncGenerator<Params> {
      taken++;
      yield [await Promise.resolve(1)];
    }
    const aborted = conn.cursor().executemany(INSERT, source(), { signal: AbortSignal.abort('too late') });
    await expect(aborted).rejects.toBe('too late');
    expect([taken, conn.info.transactionStatus]).toEqual([0, 'IDLE']);
  });

  it('ends at once, too, when the source closes its cursor or its connection', async () => {
    for (const close of [
      (_conn: AsyncConnection, cur: AsyncClientCursor) => cur.close(),
      (conn: AsyncConnection) => conn.close(),
    ]) {
      const conn = await connect({ autocommit: true });
      const cur = new AsyncClientCursor(conn);
      const source = numbers(MANY, 1, () => close(conn, cur));
      await expect(cur.executemany(INSERT, source)).rejects.toThrow(/closed/);
      expect(await count('many_batch')).toBe(0);
    }
  });

  it('in a pipeline is ended by an abort and by close() while its source is silent', async () => {
    const conn = await connect();
    await conn.withPipeline(async () => {
      const controller = new AbortController();
      const aborted = conn.cursor().executemany(INSERT, silent(), { signal: controller.signal });
      controller.abort('enough');
      await expect(aborted).rejects.toBe('enough');
      const cur = conn.cursor();
      const closed = rejection(cur.executemany(INSERT, silent()));
      await cur.close();
      expect(await closed).toBeInstanceOf(errors.InterfaceError);
    });
  });
});

describe('executemany() between two batches, in a transaction that other tasks can end', () => {
  /** An executemany() that has sent its first batches and waits for its source until `open()`. */
  async function halfway(
    conn: AsyncConnection,
  ): Promise<{ running: Promise<void>; failed: Promise<Error>; open: () => void }> {
    const { reached, pass, open } = gate();
    async function* source(): AsyncGenerator<Params> {
      for (let i = 0; i < MANY; i++) yield [i];
      await pass();
      for (let i = 0; i < MANY; i++) yield [i];
    }
    const running = conn.cursor().executemany(INSERT, source());
    const failed = running.then(
      () => new Error('it was stored'),
      (error: unknown) => error as Error,
    );
    await reached;
    return { running, failed, open };
  }

  const SPLIT = /sent only a part of its rows/;
  const ENDED = /ended between two of its batches/;
  let begunIn: Awaited<ReturnType<typeof halfway>>;

  it.each([false, true])(
    'is not split by commit(), which is refused, and commits it afterwards (pipeline %s)',
    async (inPipeline) => {
      const conn = await connect();
      const pipeline = inPipeline ? conn.pipeline() : null;
      const { running, open } = await halfway(conn);
      await expect(conn.commit()).rejects.toThrow(SPLIT);
      expect(await count('many_batch')).toBe(0);
      open();
      await running;
      await pipeline?.sync();
      await conn.commit();
      expect(await count('many_batch')).toBe(2 * MANY);
      await pipeline?.[Symbol.asyncDispose]();
    },
  );

  it('is not split by tpcPrepare() or tpcCommit()', async () => {
    const conn = await connect();
    await conn.tpcBegin('split');
    const { running, open } = await halfway(conn);
    await expect(conn.tpcPrepare()).rejects.toThrow(SPLIT);
    await expect(conn.tpcCommit()).rejects.toThrow(SPLIT);
    open();
    await running;
    await conn.tpcCommit();
    expect(await count('many_batch')).toBe(2 * MANY);
  });

  it.each([true, false])(
    'is not split by the commit of its block, which stays open (autocommit %s)',
    async (autocommit) => {
      const conn = await connect({ autocommit });
      await using tx = await conn.transaction();
      const { running, open } = await halfway(conn);
      await expect(tx.commit()).rejects.toThrow(SPLIT);
      open();
      await running;
      await tx.commit();
      expect(await count('many_batch')).toBe(2 * MANY);
    },
  );

  it.each([true, false])(
    'rejects and is rolled back with a callback that has not awaited it (autocommit %s)',
    async (autocommit) => {
      const conn = await connect({ autocommit });
      const begun = await conn
        .withTransaction(async () => {
          begunIn = await halfway(conn);
        })
        .catch((error: unknown) => error);
      expect(begun).toMatchObject({ message: expect.stringMatching(SPLIT) as string });
      begunIn.open();
      expect((await begunIn.failed).message).toMatch(ENDED);
      expect(await count('many_batch')).toBe(0);
      expect(conn.info.transactionStatus).toBe('IDLE');
    },
  );
  it('is rolled back with a pool callback that has not awaited it', async () => {
    const pool = makePool({ minSize: 1, maxSize: 1 });
    await expect(
      pool.withConnection(async (conn) => {
        begunIn = await halfway(conn);
      }),
    ).rejects.toThrow(SPLIT);
    begunIn.open();
    expect(await begunIn.failed).toBeInstanceOf(errors.InterfaceError);
    expect(await count('many_batch')).toBe(0);
  });

  it.each(['rollback()', 'a ROLLBACK', 'a COMMIT', 'a COMMIT and a BEGIN'])(
    'rejects after %s, and sends no more',
    async (end) => {
      const conn = await connect();
      const { failed, open } = await halfway(conn);
      if (end === 'rollback()') await conn.rollback();
      else await conn.execute(end.replace(/an? /g, '').replace(' and ', '; '));
      open();
      expect((await failed).message).toMatch(ENDED);
      await conn.rollback();
      // Complete batches of a thousand were sent.
      expect(await count('many_batch')).toBe(end.includes('COMMIT') ? 2000 : 0);
    },
  );

  it('rejects after the rollback of a block that contains one of its batches', async () => {
    const conn = await connect();
    const [first, second] = [gate(), gate()];
    async function* source(): AsyncGenerator<Params> {
      for (const { pass } of [first, second]) {
        for (let i = 0; i < MANY; i++) yield [i];
        await pass();
      }
    }
    const failed = rejection(conn.cursor().executemany(INSERT, source()));
    await first.reached;
    await conn.withTransaction(async (tx) => {
      first.open();
      await second.reached;
      throw new Rollback(tx);
    });
    second.open();
    expect((await failed).message).toMatch(ENDED);
    await conn.rollback();
  });

  it('continues after the rollback of its source’s blocks that contain none of its batches', async () => {
    const conn = await connect({ autocommit: true });
    await conn.withTransaction(async () => {
      async function* source(): AsyncGenerator<Params> {
        for (let i = 0; i < MANY; i++) {
          if (i % 700 === 0) {
            await conn.withTransaction(async (tx) => {
              await conn.execute('INSERT INTO many_other VALUES (%s)', [i]);
              throw new Rollback(tx);
            });
          }
          yield [i];
        }
      }
      await conn.cursor().executemany(INSERT, source());
    });
    expect([await count('many_batch'), await count('many_other')]).toEqual([MANY, 0]);
  });

  it('does not block the commit of another transaction after its own was rolled back', async () => {
    const conn = await connect();
    const { failed, open } = await halfway(conn);
    await conn.rollback();
    await conn.execute('INSERT INTO many_other VALUES (1)');
    await conn.commit();
    open();
    expect((await failed).message).toMatch(ENDED);
    expect([await count('many_batch'), await count('many_other')]).toEqual([0, 1]);
  });

  it.each([true, false])(
    "is refused if another task's block was opened during the wait for its source (autocommit %s)",
    async (autocommit) => {
      const conn = await connect({ autocommit });
      const { reached, pass, open } = gate();
      async function* source(): AsyncGenerator<Params> {
        await pass();
        for (let i = 0; i < MANY; i++) yield [i];
      }
      const refused = rejection(conn.cursor().executemany(INSERT, source()));
      await reached;
      await conn.withTransaction(async () => {
        await conn.execute('INSERT INTO many_other VALUES (1)');
        open();
        expect(await refused).toBeInstanceOf(errors.ConcurrentTransaction);
      });
      expect([await count('many_batch'), await count('many_other')]).toEqual([0, 1]);
    },
  );
});

describe('promises among the parameters of a synchronous source', () => {
  it.each([false, true])(
    'are refused, since they could wait for the connection (in a pipeline: %s)',
    async (inPipeline) => {
      const conn = await connect({ autocommit: true });
      function* source(): Generator<Promise<number[]>> {
        yield conn.execute('SELECT 1').then(() => [1]);
        yield conn.execute('SELECT 2').then(() => [2]);
      }
      for (const promises of [source(), [...source()]]) {
        const run = (): Promise<void> => conn.cursor().executemany(INSERT, promises);
        const error = await rejection(inPipeline ? conn.withPipeline(run) : run());
        expect(error).toBeInstanceOf(errors.ProgrammingError);
        expect(error.message).toContain('[0] is a promise');
      }
      expect(await count('many_batch')).toBe(0);
    },
  );
});

describe('after a failed executemany()', () => {
  const at = (bad: number, amount: number): number[][] =>
    Array.from({ length: amount }, (_, i) => [i === bad ? -1 : i]);

  // The results of Psycopg 3.3.6, in pure Python.
  for (const [make, kind] of [
    [(conn: AsyncConnection) => conn.cursor(), 'a cursor'],
    [(conn: AsyncConnection) => new AsyncClientCursor(conn), 'a client cursor'],
  ] as const) {
    it.each([
      [true, 10, 7],
      [false, 10, 7],
      [true, 2500, 1700],
      [false, 2500, 1700],
      [true, 3, 0],
      [false, 3, 0],
    ])(
      `rowcount of ${kind} counts the executions before it (autocommit %s, %i executions, the error at %i)`,
      async (autocommit, amount, bad) => {
        const conn = await connect({ autocommit });
        const cur = make(conn);
        for (const seq of [
          at(bad, amount),
          (async function* () {
            yield* await Promise.resolve(at(bad, amount));
          })(),
        ]) {
          await expect(cur.executemany(INSERT, seq)).rejects.toBeInstanceOf(errors.CheckViolation);
          expect([cur.rowcount, cur.statusmessage]).toEqual([bad, bad === 0 ? null : 'INSERT 0 1']);
          expect(cur.description).toBeNull();
          await conn.rollback();
        }
      },
    );
  }

  it.each([false, true])(
    "rejects with the server's error if the row factory throws, too (in a pipeline: %s)",
    async (inPipeline) => {
      const conn = await connect({ autocommit: true });
      const cur = conn.cursor({
        rowFactory: () => {
          throw new Error('no rows');
        },
      });
      const run = (): Promise<void> =>
        cur.executemany(`${INSERT} RETURNING i`, at(2, 5), { returning: true });
      expect(await rejection(inPipeline ? conn.withPipeline(run) : run())).toBeInstanceOf(
        errors.CheckViolation,
      );
      expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
      // In a pipeline, the first fetch reports the cursor's failure, too.
      await rejection(cur.fetchone());
      await expect(cur.fetchone()).rejects.toThrow('no rows');
    },
  );

  it('with `returning` the results before can be fetched', async () => {
    const conn = await connect({ autocommit: true });
    const cur = conn.cursor();
    const failed = cur.executemany(`${INSERT} RETURNING i`, at(2, 5), { returning: true });
    await expect(failed).rejects.toBeInstanceOf(errors.CheckViolation);
    const rows: unknown[] = [];
    for await (const result of cur.results()) rows.push(...(await result.fetchall()));
    expect(rows).toEqual([[0], [1]]);
    const none = cur.executemany(`${INSERT} RETURNING i`, at(0, 5), { returning: true });
    await expect(none).rejects.toBeInstanceOf(errors.CheckViolation);
    expect(cur.rowcount).toBe(-1);
  });

  it('with a signal rowcount is the same', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    const { signal } = new AbortController();
    await expect(cur.executemany(INSERT, at(7, 10), { signal })).rejects.toBeInstanceOf(
      errors.CheckViolation,
    );
    expect(cur.rowcount).toBe(7);
  });
});
