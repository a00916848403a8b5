import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { AsyncConnection, AsyncConnectionPool, conninfoToDict, errors } from '../../src/index.js';
import { admin, applicationName, dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

/** A proxy before the server, and the connection string of it. */
async function proxied(): Promise<{ proxy: FaultProxy; conninfo: string }> {
  const { host, port } = conninfoToDict(inject('dsn'));
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return { proxy, conninfo: dsn({ host: '127.0.0.1', port: proxy.port }) };
}

type Work = (connection: AsyncConnection) => Promise<void>;
type Call = (conninfo: string, work: Work, signal: AbortSignal) => Promise<void>;

/** The calls that commit at the end of a callback. */
const CALLS: Readonly<Record<string, Call>> = {
  'pool.withConnection()': async (conninfo, work, signal) => {
    await using pool = new AsyncConnectionPool(conninfo, { minSize: 1 });
    await pool.withConnection(work, { signal });
  },
  'pool.withTransaction()': async (conninfo, work, signal) => {
    await using pool = new AsyncConnectionPool(conninfo, { minSize: 1 });
    await pool.withTransaction(work, { signal });
  },
  'conn.withTransaction()': async (conninfo, work, signal) => {
    await using conn = await AsyncConnection.connect(conninfo);
    await conn.withTransaction(() => work(conn), { signal });
  },
  'AsyncConnection.withConnection()': (conninfo, work, signal) =>
    AsyncConnection.withConnection(conninfo, work, { signal }),
};

describe.each(Object.entries(CALLS))('the signal of %s', (_, call) => {
  it('bounds the COMMIT on a silent network, whose outcome is unknown then', async () => {
    const { proxy, conninfo } = await proxied();
    const controller = new AbortController();
    // The COMMIT is on its way, and never arrives.
    proxy.onChunk = (_direction, chunk) => {
      if (chunk.includes('COMMIT')) controller.abort('enough');
    };
    const called = call(
      conninfo,
      async (conn) => {
        await conn.execute('select 1');
        proxy.blackHole.add('up').add('down');
      },
      controller.signal,
    );
    await expect(called).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(controller.signal.aborted).toBe(true);
    proxy.resetAll();
  });

  it('that is aborted within the callback lets nothing be committed', async () => {
    const { conninfo } = await proxied();
    const table = `silent_${applicationName().replace(/\W/g, '_')}`;
    await admin(`create table ${table} (id int)`);
    onTestFinished(() => admin(`drop table ${table}`).then(() => undefined));
    const controller = new AbortController();
    const called = call(
      conninfo,
      async (conn) => {
        await conn.execute(`insert into ${table} values (1)`);
        controller.abort('enough');
      },
      controller.signal,
    );
    await expect(called).rejects.toBe('enough');
    expect(await admin(`select * from ${table}`)).toEqual([]);
  });
});
