import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errors, type AsyncConnection, type AsyncPipeline } from '../../src/index.js';
import { admin, connect, rejection } from '../support/database.js';

// The server detects the violation of a deferred constraint only at the end of a transaction, after the answers to all its
// statements.

beforeAll(() =>
  admin(`DROP TABLE IF EXISTS deferred;
    CREATE TABLE deferred (id int, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)`),
);
afterAll(() => admin('DROP TABLE deferred'));

const INSERT = 'INSERT INTO deferred VALUES (1), (1)';

type InPipeline = (conn: AsyncConnection, pipeline: AsyncPipeline) => Promise<unknown>;

/** Statements that violate the constraint, and operations that end the pipeline's segment. */
const VIOLATIONS: Record<string, InPipeline> = {
  'execute()': (conn) => conn.execute(INSERT),
  'a prepared statement': (conn) =>
    conn.execute('INSERT INTO deferred VALUES (%s), (1)', [1], { prepare: true }),
  'executemany()': (conn) => conn.cursor().executemany('INSERT INTO deferred VALUES (%s)', [[1], [1]]),
  'a statement with a signal': (conn) => conn.execute(INSERT, null, { signal: new AbortController().signal }),
};
const ENDS: Record<string, InPipeline> = {
  'its end': () => Promise.resolve(),
  'sync()': (_, pipeline) => pipeline.sync(),
  'another statement and its end': (conn) => conn.execute('SELECT 1'),
  'BEGIN and COMMIT': async (conn) => {
    await conn.execute('BEGIN');
    await conn.execute('COMMIT');
  },
  'several statements in one text, sent by themselves': async (conn) => {
    await conn.execute('BEGIN; COMMIT').catch(() => undefined);
  },
  'setReadOnly()': (conn) => conn.setReadOnly(null),
  'setAutocommit()': (conn) => conn.setAutocommit(true),
  'commit()': (conn) => conn.commit(),
  'rollback()': (conn) => conn.rollback(),
  'a block': (conn) => conn.withTransaction(() => conn.execute('SELECT 1')),
  'a pipeline within': (conn) => conn.withPipeline(() => conn.execute('SELECT 1')),
};

describe.each(Object.keys(VIOLATIONS))('a violation by %s in a pipeline', (violation) => {
  it.each(Object.keys(ENDS))('is reported at the end at the latest, where %s ends it', async (end) => {
    const conn = await connect({ autocommit: true });
    const error = await rejection(
      conn.withPipeline(async (pipeline) => {
        await VIOLATIONS[violation]!(conn, pipeline);
        await ENDS[end]!(conn, pipeline);
      }),
    );
    expect(error).toBeInstanceOf(errors.UniqueViolation);
    expect(error.diag.constraintName).toBe('once');
    expect(await (await conn.execute('SELECT count(*)::int FROM deferred')).fetchone()).toEqual([0]);
  });
});

describe('a violation in a transaction', () => {
  it.each([true, false])('is reported by its COMMIT (in a pipeline: %s)', async (isPipelined) => {
    const conn = await connect();
    const run = async (): Promise<void> => {
      await conn.execute(INSERT);
      await conn.commit();
    };
    const error = await rejection(isPipelined ? conn.withPipeline(run) : run());
    expect(error).toBeInstanceOf(errors.UniqueViolation);
    expect(conn.info.transactionStatus).toBe('IDLE');
  });

  it('is reported by the statement that ends the transaction', async () => {
    const conn = await connect({ autocommit: true });
    for (const text of [INSERT, `${INSERT}; SELECT 1`]) {
      expect(await rejection(conn.execute(text))).toBeInstanceOf(errors.UniqueViolation);
    }
    expect(
      await rejection(conn.cursor().executemany('INSERT INTO deferred VALUES (%s)', [[1], [1]])),
    ).toBeInstanceOf(errors.UniqueViolation);
    await using copy = await conn.cursor().copy('COPY deferred FROM STDIN');
    await copy.writeRow([1]);
    await copy.writeRow([1]);
    expect(await rejection(copy.finish())).toBeInstanceOf(errors.UniqueViolation);
  });

  it('is reported by the end of a stream, whether read or left', async () => {
    const conn = await connect({ autocommit: true });
    const text = 'INSERT INTO deferred SELECT 1 FROM generate_series(1, 50) RETURNING id';
    const all = async (): Promise<void> => {
      for await (const row of conn.cursor().stream(text)) expect(row).toEqual([1]);
    };
    expect(await rejection(all())).toBeInstanceOf(errors.UniqueViolation);
    const first = async (): Promise<void> => {
      for await (const row of conn.cursor().stream(text)) {
        expect(row).toEqual([1]);
        break;
      }
    };
    expect(await rejection(first())).toBeInstanceOf(errors.UniqueViolation);
    // A body that throws has an error of its own.
    const failing = async (): Promise<void> => {
      for await (const row of conn.cursor().stream(text)) throw new RangeError(String(row));
    };
    expect(await rejection(failing())).toBeInstanceOf(RangeError);
    expect(await (await conn.execute('SELECT count(*)::int FROM deferred')).fetchone()).toEqual([0]);
  });
});

describe('a pipeline in which one statement has failed', () => {
  it('runs the statements after a sync(), however the answers are split', async () => {
    const conn = await connect({ autocommit: true });
    for (let i = 0; i < 50; i++) {
      await conn.withPipeline(async (pipeline) => {
        const failing = await conn.execute('SELECT 1/%s', [0]);
        const skipped = await conn.execute('SELECT 2');
        const synced = pipeline.sync().catch((error: unknown) => error);
        expect(await rejection(failing.fetchone())).toBeInstanceOf(errors.DivisionByZero);
        const behind = await conn.execute('SELECT 3');
        expect(await rejection(skipped.fetchone())).toBeInstanceOf(errors.PipelineAborted);
        await synced;
        expect(await behind.fetchone()).toEqual([3]);
      });
    }
  });
});

describe('a row factory that throws in a pipeline', () => {
  const rowFactory = (): never => {
    throw new RangeError('no such columns');
  };

  it('fails the fetch, which tells its error', async () => {
    const conn = await connect({ autocommit: true });
    await conn.withPipeline(async () => {
      const cur = await conn.execute('SELECT 1', null, { rowFactory });
      await expect(cur.fetchone()).rejects.toThrow('no such columns');
    });
    expect(await (await conn.execute('SELECT 2')).fetchone()).toEqual([2]);
  });

  it('fails the end of the pipeline, if nothing is fetched', async () => {
    const conn = await connect({ autocommit: true });
    await expect(conn.withPipeline(() => conn.execute('SELECT 1', null, { rowFactory }))).rejects.toThrow(
      'no such columns',
    );
    expect(await (await conn.execute('SELECT 2')).fetchone()).toEqual([2]);
  });
});
