import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  errors,
  TransactionStatus,
  type AsyncConnection,
  type AsyncCopy,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, terminate } from '../support/database.js';

async function withTable(): Promise<{ conn: AsyncConnection; cur: AsyncCursor }> {
  const conn = await connect();
  const cur = conn.cursor();
  await cur.execute('CREATE TEMP TABLE place (id int4 PRIMARY KEY, name text)');
  await conn.commit();
  return { conn, cur };
}

async function count(conn: AsyncConnection): Promise<unknown> {
  return (await (await conn.execute('SELECT count(*)::int4 FROM place')).fetchone())?.[0];
}

function* lines(from: number, to: number): Generator<string> {
  for (let i = from; i < to; i++) yield `${String(i)}\tname ${String(i)}\n`;
}

class Collector extends Writable {
  readonly pieces: Buffer[] = [];
  override _write(piece: Buffer, _encoding: string, callback: () => void): void {
    this.pieces.push(piece);
    callback();
  }
  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }
}

describe('writable()', () => {
  test('finishes the COPY with the stream', async () => {
    const { conn, cur } = await withTable();
    const copy = await cur.copy('COPY place FROM STDIN');
    await pipeline(Readable.from(lines(0, 50_000)), copy.writable());
    expect(cur.rowcount).toBe(50_000);
    await copy.finish();
    expect(await count(conn)).toBe(50_000);
  });

  test('decodes strings in other encodings', async () => {
    const { conn, cur } = await withTable();
    const copy = await cur.copy('COPY place FROM STDIN');
    const stream = copy.writable();
    stream.write(Buffer.from('1\tÆ\n').toString('base64'), 'base64');
    stream.write('2\tø\n');
    stream.end();
    await once(stream, 'finish');
    expect(await (await conn.execute('SELECT name FROM place ORDER BY id')).fetchall()).toEqual([
      ['Æ'],
      ['ø'],
    ]);
  });

  test('returns the same stream at each call', async () => {
    const { cur } = await withTable();
    await using copy = await cur.copy('COPY place FROM STDIN');
    expect(copy.writable()).toBe(copy.writable());
    copy.writable().destroy();
  });

  test('that is destroyed aborts the COPY', async () => {
    const { conn, cur } = await withTable();
    await using copy = await cur.copy('COPY place FROM STDIN');
    const stream = copy.writable();
    stream.write('1\ta\n');
    stream.destroy();
    await once(stream, 'close');
    await expect(copy.finish()).rejects.toThrow('the stream was destroyed');
    expect(conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await conn.rollback();
    expect(await count(conn)).toBe(0);
  });

  test('aborts the COPY if its source fails, and reports that error once', async () => {
    const { conn, cur } = await withTable();
    const failure = new Error('the disk is gone');
    function* failing(): Generator<string> {
      yield* lines(0, 30_000);
      throw failure;
    }
    {
      await using copy = await cur.copy('COPY place FROM STDIN');
      await expect(pipeline(Readable.from(failing()), copy.writable())).rejects.toBe(failure);
    }
    expect(conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await conn.rollback();
    expect(await count(conn)).toBe(0);
  });

  test.each([
    ['while data is written', 20_000],
    ['at the end', 1],
  ])("reports the server's error to pipeline(), once, %s", async (_when, further) => {
    const { conn, cur } = await withTable();
    await using copy = await cur.copy('COPY place FROM STDIN');
    const stream = copy.writable();
    const seen: unknown[] = [];
    stream.on('error', (error) => seen.push(error));
    let finished = 0;
    stream.on('finish', () => finished++);
    function* bad(): Generator<string> {
      yield 'bad\trow\n';
      yield* lines(0, further);
    }
    const attempt = pipeline(Readable.from(bad()), stream);
    await expect(attempt).rejects.toMatchObject({
      name: 'InvalidTextRepresentation',
      sqlstate: '22P02',
      diag: expect.objectContaining({}) as unknown,
    });
    await conn.rollback();
    await conn.execute('SELECT 1');
    expect([seen.length, finished]).toEqual([1, 0]);
  });

  // The error must not wait for the next piece of data, which may never come.
  test.each([
    [
      'the connection is lost',
      (conn: AsyncConnection) => terminate(conn.info.backendPid),
      /administrator command/,
    ],
    ['the connection is closed', (conn: AsyncConnection) => conn.close(), /Premature close/],
    ['the signal is aborted', (_conn: AsyncConnection, abort: () => void) => abort(), /not wanted/],
    [
      'the COPY is aborted',
      (_conn: AsyncConnection, _abort: () => void, copy: AsyncCopy) => copy.abort(),
      /Premature close/,
    ],
  ] as const)('is destroyed at once when %s while its source is silent', async (_when, end, message) => {
    const { conn, cur } = await withTable();
    const controller = new AbortController();
    const copy = await cur.copy('COPY place FROM STDIN', null, { signal: controller.signal });
    const source = new PassThrough();
    source.write('1\ta\n');
    const rejected = expect(pipeline(source, copy.writable())).rejects.toThrow(message);
    await new Promise((resolve) => setImmediate(resolve));
    const abort = (): void => {
      controller.abort(new Error('not wanted any more'));
    };
    await end(conn, abort, copy);
    await rejected;
    expect(source.destroyed).toBe(true);
  });
});

describe('readable()', () => {
  test('passes data through other streams and back', async () => {
    const { conn, cur } = await withTable();
    await cur.withCopy('COPY place FROM STDIN', (copy) =>
      pipeline(Readable.from(lines(0, 50_000)), copy.writable()),
    );
    const zipped = new PassThrough();
    const gathered = new Collector();
    const out = await cur.copy('COPY place TO STDOUT (FORMAT binary)');
    await Promise.all([pipeline(out.readable(), createGzip(), zipped), pipeline(zipped, gathered)]);
    expect(cur.rowcount).toBe(50_000);
    await conn.execute('TRUNCATE place');
    const into = await cur.copy('COPY place FROM STDIN (FORMAT binary)');
    await pipeline(Readable.from(gathered.pieces), createGunzip(), into.writable());
    expect(await count(conn)).toBe(50_000);
  });

  test('is cancelled if its consumer fails, and the connection goes on', async () => {
    const { conn, cur } = await withTable();
    const failure = new Error('no space left');
    let taken = 0;
    const consumer = new Writable({
      write: (_piece, _encoding, callback) => {
        callback(++taken > 3 ? failure : null);
      },
    });
    {
      await using copy = await cur.copy('COPY (SELECT generate_series(1, 1000000000)) TO STDOUT');
      await expect(pipeline(copy.readable(), consumer)).rejects.toBe(failure);
    }
    await conn.rollback();
    expect(await count(conn)).toBe(0);
  });

  test('that is destroyed cancels the COPY', async () => {
    const { conn, cur } = await withTable();
    await using copy = await cur.copy('COPY (SELECT generate_series(1, 1000000000)) TO STDOUT');
    const stream = copy.readable();
    await once(stream, 'readable');
    stream.destroy();
    await once(stream, 'close');
    await conn.rollback();
    expect(await count(conn)).toBe(0);
  });

  test("reports the server's error to its consumer", async () => {
    const { conn, cur } = await withTable();
    const gathered = new Collector();
    await using copy = await cur.copy('COPY (SELECT 1 / (50000 - generate_series(1, 60000))) TO STDOUT');
    await expect(pipeline(copy.readable(), gathered)).rejects.toThrow(errors.DivisionByZero);
    await conn.rollback();
  });
});

describe('from one connection to another', () => {
  test('a table is copied in one line', async () => {
    const source = await withTable();
    const target = await withTable();
    await source.cur.withCopy('COPY place FROM STDIN', (copy) =>
      pipeline(Readable.from(lines(0, 100_000)), copy.writable()),
    );
    await using out = await source.cur.copy('COPY place TO STDOUT (FORMAT binary)');
    await using into = await target.cur.copy('COPY place FROM STDIN (FORMAT binary)');
    await pipeline(out.readable(), into.writable());
    await target.conn.commit();
    expect([source.cur.rowcount, target.cur.rowcount, await count(target.conn)]).toEqual([
      100_000, 100_000, 100_000,
    ]);
  });

  test('the error of one ends both', async () => {
    const source = await withTable();
    const target = await withTable();
    await target.conn.execute("INSERT INTO place VALUES (70000, 'in the way')");
    await target.conn.commit();
    {
      await using out = await source.cur.copy(
        "COPY (SELECT generate_series(1, 100000000), 'x') TO STDOUT (FORMAT binary)",
      );
      await using into = await target.cur.copy('COPY place FROM STDIN (FORMAT binary)');
      await expect(pipeline(out.readable(), into.writable())).rejects.toThrow(errors.UniqueViolation);
    }
    for (const { conn } of [source, target]) await conn.rollback();
    expect([await count(source.conn), await count(target.conn)]).toEqual([0, 1]);
  });
});
