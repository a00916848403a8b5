import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnection,
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  errors,
  sql,
} from '../../src/index.js';
import { connect, dsn, terminate } from '../support/database.js';
import { freePort } from '../support/server.js';

async function raised(call: Promise<unknown>): Promise<errors.Error> {
  const error: unknown = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(errors.Error);
  return error as errors.Error;
}

function placeOf({ info }: AsyncConnection): errors.ErrorConnection {
  const { host, port, dbname, user, backendPid: pid } = info;
  return { host, port, dbname, user, pid };
}

describe('the location of an error', () => {
  it('is known for errors of the server and of lost connections', async () => {
    const connection = await connect();
    const place = placeOf(connection);
    const failed = await raised(connection.execute('select 1/0'));
    expect(failed.connection).toEqual(place);
    expect(Object.isFrozen(failed.connection)).toBe(true);
    expect(failed.query).toBe('select 1/0');
    expect((await raised(connection.execute('select 1'))).connection).toEqual(place);
    await connection.rollback();
    const running = raised(connection.execute('select pg_sleep(60)'));
    await terminate(connection.info.backendPid);
    expect((await running).connection).toEqual(place);
    expect((await raised(connection.commit())).connection).toEqual(place);
    await connection.close();
    expect((await raised(connection.execute('select 1'))).connection).toEqual(place);
  });

  it('is known for each failed attempt to connect, and for all of them', async () => {
    const closed = await freePort();
    const alone = await raised(AsyncConnection.connect(dsn({ host: '127.0.0.1', port: closed })));
    expect(alone.connection).toMatchObject({ host: '127.0.0.1', port: closed, pid: null });
    await using direct = await AsyncConnection.connect(dsn());
    const { host, port, user } = direct.info;
    const all = await raised(
      AsyncConnection.connect(
        dsn({
          host: `127.0.0.1,${host}`,
          port: `${String(closed)},${String(port)}`,
          dbname: 'there_is_none',
        }),
      ),
    );
    expect(all.connection).toEqual({ host, port, user, dbname: 'there_is_none', pid: null });
    const attempts = (all.cause as AggregateError).errors as errors.Error[];
    expect(attempts.map(({ connection }) => connection?.port)).toEqual([closed, port]);
  });

  it('is null for an error without a connection, and not added to the reason of an abort', async () => {
    expect(new errors.ProgrammingError('what').connection).toBeNull();
    expect(new errors.ProgrammingError('what').pool).toBeNull();
    const connection = await connect();
    const reason = Object.assign(new Error('enough'), { own: 1 });
    const signal = AbortSignal.abort(reason);
    await expect(connection.execute('select 1', null, { signal })).rejects.toBe(reason);
    expect(Object.keys(reason)).toEqual(['own']);
  });

  it('includes the state of a pool that could not provide a connection', async () => {
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2, maxWaiting: 1, name: 'short' });
    await pool.wait();
    const lent = [await pool.connection(), await pool.connection()];
    const late = raised(pool.connection({ timeout: 0.05 }));
    const refused = await raised(pool.connection());
    const counts = { name: 'short', minSize: 1, maxSize: 2, lentOut: 2, idle: 0, connecting: 0 };
    expect(refused).toBeInstanceOf(errors.TooManyRequests);
    expect(refused.pool).toEqual({ ...counts, waiting: 1 });
    expect(await late).toBeInstanceOf(errors.PoolTimeout);
    expect((await late).pool).toEqual({ ...counts, waiting: 0 });
    expect(Object.isFrozen((await late).pool)).toBe(true);
    for (const connection of lent) await connection[Symbol.asyncDispose]();
    await pool.close();
    expect((await raised(pool.connection())).pool).toMatchObject({ name: 'short', idle: 0 });
    await using unready = new AsyncNullConnectionPool(dsn(), { open: false, name: 'unready' });
    expect((await raised(unready.connection())).pool).toEqual({
      ...counts,
      name: 'unready',
      minSize: 0,
      maxSize: 0,
      lentOut: 0,
      waiting: 0,
    });
  });
});

describe('an error in a log', () => {
  it('has the fields that tell what failed where, and no others', async () => {
    const connection = await connect();
    const error = await raised(connection.execute('select 1/0'));
    expect(Object.keys(error)).toEqual(['sqlstate', 'query', 'connection']);
    expect(Object.keys(new errors.ProgrammingError('what'))).toEqual([]);
  });

  it('contains what an operator needs as JSON, including causes', async () => {
    const connection = await connect({}, { password: 'not-to-be-shown' });
    const error = await raised(connection.execute('select %s::int', ['not-to-be-shown']));
    expect(JSON.parse(JSON.stringify(new errors.OperationalError('outer', { cause: error })))).toEqual({
      name: 'OperationalError',
      message: 'outer',
      cause: {
        name: 'InvalidTextRepresentation',
        // The server's own message.
        message: error.message,
        sqlstate: '22P02',
        query: 'select $1::int',
        connection: placeOf(connection),
      },
    });
    const foreign = new errors.OperationalError('outer', { cause: new TypeError('inner') });
    expect(foreign.toJSON()['cause']).toEqual({ name: 'TypeError', message: 'inner' });
    for (const [cause, shown] of [
      [Object.create(null), '[object Object]'],
      [42n, '42'],
      [Symbol('why'), 'Symbol(why)'],
    ]) {
      expect(new errors.OperationalError('outer', { cause }).toJSON()['cause']).toBe(shown);
    }
    const endless: { cause?: unknown } = new errors.OperationalError('endless');
    endless.cause = endless;
    expect(JSON.stringify(endless).length).toBeLessThan(1000);
  });

  it('has no values in its query, even if the client inserts them into the text', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = new AsyncClientCursor(connection);
    const value = 'not-to-be-shown';
    const failed = [
      await raised(cursor.execute('select %s from there_is_none', [value])),
      await raised(cursor.execute(sql`select ${value} from there_is_none`)),
      await raised(cursor.copy('copy (select %s from there_is_none) to stdout', [value])),
      await raised(cursor.copy('select %s', [value])),
    ];
    expect(failed.map(({ query }) => query)).toEqual([
      'select $1 from there_is_none',
      'select $1 from there_is_none',
      'copy (select $1 from there_is_none) to stdout',
      'select $1',
    ]);
    expect(JSON.stringify(failed) + inspect(failed)).not.toContain(value);
  });
});
