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

describe.each([
  ['tpcPrepare', 'PREPARE TRANSACTION', 'prepared'],
  ['tpcCommit', 'COMMIT PREPARED', 'committed'],
  ['tpcRollback', 'ROLLBACK PREPARED', 'rolled back'],
] as const)('%s()', (call, statement, may) => {
  it.each(['silent', 'cut'])(
    'on a %s network has an unknown outcome, which tpcRecover() tells',
    async (how) => {
      const { proxy, conninfo } = await proxied();
      const xid = `${applicationName()} ${call} ${how}`;
      await using conn = await AsyncConnection.connect(conninfo);
      await conn.tpcBegin(xid);
      await conn.execute('select 1');
      if (call !== 'tpcPrepare') await conn.tpcPrepare();
      const controller = new AbortController();
      // The statement is on its way, and its answer never arrives.
      proxy.onChunk = (_direction, chunk) => {
        if (!chunk.includes(statement)) return;
        if (how === 'silent') controller.abort('enough');
        else proxy.resetAll();
      };
      proxy.blackHole.add('down');
      const options = { signal: controller.signal };
      const error: unknown = await (
        call === 'tpcPrepare' ? conn.tpcPrepare(options) : conn[call](undefined, options)
      ).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(errors.TransactionOutcomeUnknown);
      expect(String(error)).toContain(
        `before the server had answered the ${statement} '${xid}', so the transaction may be ${may} or not`,
      );
      expect(String(error)).toContain('tpcRecover() tells whether it is prepared');
      proxy.resetAll();

      await using other = await AsyncConnection.connect(dsn());
      const left = (await other.tpcRecover()).filter(({ gtrid }) => gtrid === xid);
      for (const one of left) await other.tpcRollback(one);
    },
  );

  it('whose signal is aborted before it is sent changes nothing', async () => {
    const { conninfo } = await proxied();
    await using conn = await AsyncConnection.connect(conninfo);
    await conn.tpcBegin(`${applicationName()} ${call}`);
    await conn.execute('select 1');
    const options = { signal: AbortSignal.abort('enough') };
    if (call === 'tpcPrepare') {
      await expect(conn.tpcPrepare(options)).rejects.toBe('enough');
      await conn.tpcPrepare();
    } else {
      await conn.tpcPrepare();
      await expect(conn[call](undefined, options)).rejects.toBe('enough');
    }
    await conn.tpcRollback();
  });
});
