import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { AsyncConnection } from '../../src/index.js';
import { conninfoToDict, errors, TransactionStatus, Xid } from '../../src/index.js';
import { admin, connect, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

const { IDLE, INTRANS } = TransactionStatus;

async function rows(): Promise<number> {
  return Number((await admin<{ n: string }>('select count(*) as n from two_phase'))[0]!.n);
}

async function prepared(): Promise<string[]> {
  const found = await admin<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database() order by gid',
  );
  return found.map(({ gid }) => gid);
}

/** A connection with a two-phase transaction that has written a row. */
async function begun(xid: Xid | string = 'x'): Promise<AsyncConnection> {
  const connection = await connect();
  await connection.tpcBegin(xid);
  await connection.execute('insert into two_phase values (1)');
  return connection;
}

function proxyToServer(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  return FaultProxy.to({ host: host!, port: Number(port) });
}

beforeEach(async () => {
  await admin('create table if not exists two_phase (id int)');
});

afterEach(async () => {
  for (const gid of await prepared()) await admin(`rollback prepared '${gid.replaceAll("'", "''")}'`);
  await admin('drop table two_phase');
});

describe('a two-phase transaction', () => {
  it('is prepared, and then committed or rolled back', async () => {
    const connection = await begun('first');
    expect(connection.info.transactionStatus).toBe(INTRANS);
    await connection.tpcPrepare();
    expect(connection.info.transactionStatus).toBe(IDLE);
    expect([await prepared(), await rows()]).toEqual([['first'], 0]);
    await connection.tpcCommit();
    expect([await prepared(), await rows()]).toEqual([[], 1]);

    await connection.tpcBegin('second');
    await connection.execute('insert into two_phase values (2)');
    await connection.tpcPrepare();
    await connection.tpcRollback();
    expect([await prepared(), await rows()]).toEqual([[], 1]);
    await connection.execute('insert into two_phase values (3)');
    await connection.commit();
    expect(await rows()).toBe(2);
  });

  it('is ended in one phase', async () => {
    const connection = await begun();
    await connection.tpcRollback();
    expect([connection.info.transactionStatus, await rows()]).toEqual([IDLE, 0]);
    await connection.tpcBegin('x');
    await connection.execute('insert into two_phase values (1)');
    await connection.tpcCommit();
    expect([connection.info.transactionStatus, await rows()]).toEqual([IDLE, 1]);
  });

  it.each(['tpcCommit', 'tpcRollback'] as const)(
    'outlives its connection, for %s of another',
    async (end) => {
      const connection = await begun();
      await connection.tpcPrepare();
      await terminate(connection.info.backendPid);
      const other = await connect();
      const [xid] = await other.tpcRecover();
      expect(other.info.transactionStatus).toBe(IDLE);
      expect([xid!.gtrid, xid!.owner, xid!.database]).toEqual(['x', other.info.user, other.info.dbname]);
      expect(Math.abs(xid!.prepared!.getTime() - Date.now())).toBeLessThan(60_000);
      await other[end](xid);
      expect([await prepared(), await rows()]).toEqual([[], end === 'tpcCommit' ? 1 : 0]);
      expect(await other.tpcRecover()).toEqual([]);
    },
  );

  it('begins with the settings of the connection', async () => {
    const connection = await connect();
    await connection.setReadOnly(true);
    await connection.tpcBegin('x');
    await expect(connection.execute('insert into two_phase values (1)')).rejects.toBeInstanceOf(
      errors.ReadOnlySqlTransaction,
    );
    await connection.tpcRollback();
  });

  it('may have savepoints', async () => {
    const connection = await begun();
    await connection.withTransaction(async () => {
      await connection.execute('insert into two_phase values (2)');
      await expect(connection.tpcCommit()).rejects.toBeInstanceOf(errors.ProgrammingError);
    });
    await connection.tpcPrepare();
    await connection.tpcCommit();
    expect(await rows()).toBe(2);
  });

  it('works in a pipeline', async () => {
    const connection = await connect();
    await connection.withPipeline(async () => {
      await connection.tpcBegin('piped');
      await connection.execute('insert into two_phase values (1)');
      await connection.tpcPrepare();
      expect(await prepared()).toEqual(['piped']);
      await connection.tpcCommit();
    });
    expect(await rows()).toBe(1);
  });
});

describe('tpcRecover()', () => {
  it('leaves the transaction status as it is', async () => {
    const connection = await connect();
    await connection.tpcRecover();
    expect(connection.info.transactionStatus).toBe(IDLE);
    await connection.execute('select 1');
    await connection.tpcRecover();
    expect(connection.info.transactionStatus).toBe(INTRANS);
  });

  it('returns transactions of any client, so that they can be ended', async () => {
    const ids = [
      '1_Z3RyaWQ=_YnF1YWw=',
      'hello, world!',
      '',
      'x'.repeat(199),
      "it's \\ %s",
      '1_ab!c_YmE=',
      '01_YQ==_YQ==',
    ];
    for (const id of ids) {
      await admin(
        `begin; insert into two_phase values (1); prepare transaction '${id.replaceAll("'", "''")}'`,
      );
    }
    const connection = await connect();
    const recovered = await connection.tpcRecover();
    expect(recovered.map(String).sort()).toEqual([...ids].sort());
    const parts = recovered.map((xid) => [...xid]);
    expect(parts).toContainEqual([1, 'gtrid', 'bqual']);
    for (const id of ids.slice(1)) expect(parts).toContainEqual([null, id, null]);
    for (const [i, xid] of recovered.entries()) {
      // Either the object or its text identifies it.
      if (i % 2 === 0) await connection.tpcCommit(xid);
      else await connection.tpcRollback(String(xid));
    }
    expect(await prepared()).toEqual([]);
  });
});

describe('an Xid', () => {
  it.each([
    [0, '', ''],
    [42, 'gtrid', 'bqual'],
    [0x7fffffff, 'x'.repeat(64), 'y'.repeat(64)],
    [1, "it's", '\\ _ %s'],
    [10, '😀'.repeat(20), 'ü\0'],
  ])('of %i, %j and %j is found again by the text it was prepared under', async (formatId, gtrid, bqual) => {
    const connection = await connect();
    const xid = connection.xid(formatId, gtrid, bqual);
    expect(xid).toBeInstanceOf(Xid);
    expect([xid.formatId, xid.gtrid, xid.bqual]).toEqual([formatId, gtrid, bqual]);
    expect([xid.prepared, xid.owner, xid.database]).toEqual([null, null, null]);
    expect([...Xid.fromString(String(xid))]).toEqual([formatId, gtrid, bqual]);
    await connection.tpcBegin(xid);
    await connection.execute('insert into two_phase values (1)');
    await connection.tpcPrepare();
    expect(await prepared()).toEqual([String(xid)]);
    const recovered = await connection.tpcRecover();
    expect(recovered.map((each) => [...each])).toEqual([[formatId, gtrid, bqual]]);
    await connection.tpcCommit();
    expect(await rows()).toBe(1);
  });

  it('is written as Psycopg and the JDBC driver write it', async () => {
    const connection = await connect();
    expect(String(connection.xid(1, 'gtrid', 'bqual'))).toBe('1_Z3RyaWQ=_YnF1YWw=');
  });

  it.each([
    [-1, 'g', 'b'],
    [1.5, 'g', 'b'],
    [0x80000000, 'g', 'b'],
    ['1', 'g', 'b'],
    [1, 'x'.repeat(65), 'b'],
    [1, 'g', 'x'.repeat(65)],
    [1, null, 'b'],
    [1, 'g', undefined],
    [1, '\ud800', 'b'],
    [null, 'g', 'b'],
  ])('can not be of %j, %j and %j', async (...parts) => {
    const connection = await connect();
    expect(() => connection.xid(...(parts as [number, string, string]))).toThrow(errors.ProgrammingError);
  });

  it.each(['nul\0', 'x'.repeat(200), 'ü'.repeat(100), 5, null, {}])(
    'can not be the text %j, which is refused before anything is begun',
    async (text) => {
      const connection = await connect();
      await expect(connection.tpcBegin(text as string)).rejects.toBeInstanceOf(errors.ProgrammingError);
      expect(connection.info.transactionStatus).toBe(IDLE);
      await connection.execute('select 1');
      await connection.commit();
    },
  );
});

describe('out of order', () => {
  const refused = async (call: Promise<unknown>): Promise<void> => {
    await expect(call).rejects.toBeInstanceOf(errors.ProgrammingError);
  };

  it('tpcBegin() is refused in autocommit, in a transaction and in a two-phase transaction', async () => {
    const connection = await connect();
    await connection.execute('select 1');
    await refused(connection.tpcBegin('x'));
    expect(connection.info.transactionStatus).toBe(INTRANS);
    await connection.rollback();
    await connection.setAutocommit(true);
    await refused(connection.tpcBegin('x'));
    await connection.setAutocommit(false);
    await connection.tpcBegin('x');
    await refused(connection.tpcBegin('y'));
    await connection.tpcPrepare();
    await refused(connection.tpcBegin('y'));
    await connection.tpcRollback();
  });

  it('tpcPrepare(), tpcCommit() and tpcRollback() need a two-phase transaction', async () => {
    const connection = await connect();
    for (const call of ['tpcPrepare', 'tpcCommit', 'tpcRollback'] as const) await refused(connection[call]());
    const other = await begun();
    await other.tpcPrepare();
    await refused(other.tpcPrepare());
    await other.tpcCommit();
    await refused(other.tpcCommit());
    expect(await rows()).toBe(1);
  });

  it('commit(), rollback(), autocommit and another xid are refused in a two-phase transaction', async () => {
    const connection = await begun();
    for (const state of ['begun', 'prepared']) {
      await refused(connection.commit());
      await refused(connection.rollback());
      await refused(connection.tpcCommit('other'));
      await refused(connection.tpcRollback('other'));
      if (state === 'begun') {
        await refused(connection.setAutocommit(true));
        await connection.tpcPrepare();
      }
    }
    await refused(connection.cancelSafe());
    await connection.tpcCommit();
    expect(await rows()).toBe(1);
  });

  it('an xid that is not prepared raises UndefinedObject', async () => {
    const connection = await connect();
    await expect(connection.tpcCommit('nowhere')).rejects.toBeInstanceOf(errors.UndefinedObject);
    await expect(connection.tpcRollback('nowhere')).rejects.toBeInstanceOf(errors.UndefinedObject);
    expect(connection.info.transactionStatus).toBe(IDLE);
  });

  it('a lost connection raises its error', async () => {
    const connection = await begun();
    await terminate(connection.info.backendPid);
    for (const call of ['tpcPrepare', 'tpcCommit', 'tpcRollback', 'tpcRecover'] as const) {
      await expect(connection[call]()).rejects.toBeInstanceOf(errors.OperationalError);
    }
  });
});

describe('a first phase that fails', () => {
  it('raises an error in a failed transaction, which the server rolls back without one', async () => {
    const connection = await begun();
    await expect(connection.execute('wat')).rejects.toBeInstanceOf(errors.SyntaxError);
    await expect(connection.tpcPrepare()).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    await expect(connection.tpcPrepare()).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(connection.tpcCommit()).rejects.toBeInstanceOf(errors.ProgrammingError);
    await connection.tpcRollback();
    await connection.execute('select 1');
    await connection.commit();
    expect(await rows()).toBe(0);
  });

  it('because the identifier is in use affects neither transaction: no second phase ends the other one', async () => {
    const other = await begun('same');
    await other.tpcPrepare();
    const connection = await begun('same');
    await expect(connection.tpcPrepare()).rejects.toBeInstanceOf(errors.DuplicateObject);
    await expect(connection.tpcCommit()).rejects.toBeInstanceOf(errors.ProgrammingError);
    await connection.tpcRollback();
    expect([await prepared(), await rows()]).toEqual([['same'], 0]);
    await other.tpcCommit();
    expect(await rows()).toBe(1);
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
      await using proxy = await proxyToServer();
      const xid = `${call} ${how}`;
      const conn = await connect({}, { host: '127.0.0.1', port: proxy.port });
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
    },
  );

  it('whose signal is aborted before it is sent changes nothing', async () => {
    const conn = await begun();
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
