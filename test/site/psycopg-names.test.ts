import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as usingpg from '../../src/index.js';
import { connect, dsn, rejection } from '../support/database.js';

const page = readFileSync(new URL('../../docs/coming-from/psycopg3.md', import.meta.url), 'utf8');
/** The names in the second column that are written as code, without what stands in parentheses. */
const names = page
  .split('\n')
  .map((line) => line.split('|')[2]?.trim() ?? '')
  .flatMap((cell) => /^`([A-Za-z.]+)`$/.exec(cell)?.[1] ?? []);

/** The pool options with a name of psycopg_pool; the compiler checks that they exist. */
const OPTIONS: Readonly<Partial<Record<keyof usingpg.PoolOptions, true>>> = {
  connectOptions: true,
  connectionClass: true,
  configure: true,
  check: true,
  reset: true,
  closeReturns: true,
  timeout: true,
  maxWaiting: true,
  maxLifetime: true,
  maxIdle: true,
  reconnectTimeout: true,
  reconnectFailed: true,
  numWorkers: true,
};

describe('the page that maps the names of Psycopg', () => {
  it('contains all of them', () => {
    expect(names.length).toBeGreaterThan(250);
  });

  it('names only what exists', async () => {
    const connection = await connect({ autocommit: true });
    await using pool = new usingpg.AsyncConnectionPool(dsn(), { open: false });
    await using server = connection.cursor({ name: 'names' });
    const cursor = await connection.execute('select 1 as one');
    const copied = await connection.cursor().copy('copy (select 1) to stdout');
    await copied.abort();
    await using transaction = await connection.transaction();
    const pipeline = connection.pipeline();
    await pipeline[Symbol.asyncDispose]();
    const instances: Readonly<Record<string, object>> = {
      AsyncConnection: connection,
      AsyncCursor: cursor,
      AsyncServerCursor: server,
      AsyncClientCursor: new usingpg.AsyncClientCursor(connection),
      AsyncConnectionPool: pool,
      AsyncTransaction: transaction,
      AsyncPipeline: pipeline,
      AsyncCopy: copied,
      ConnectionInfo: connection.info,
      Column: cursor.description![0]!,
      AdaptersMap: usingpg.adapters,
      Notify: new usingpg.Notify('channel', 'payload', 1),
      Xid: connection.xid(1, 'a', 'b'),
      Rollback: new usingpg.Rollback(),
      Diagnostic: (await rejection(usingpg.AsyncConnection.connect(dsn({ dbname: 'nowhere' })))).diag,
      TypeInfo: (await usingpg.TypeInfo.fetch(connection, 'int4'))!,
      RangeInfo: (await usingpg.RangeInfo.fetch(connection, 'int4range'))!,
      MultirangeInfo: (await usingpg.MultirangeInfo.fetch(connection, 'int4multirange'))!,
      CompositeInfo: new usingpg.CompositeInfo('c', 1, 2, { fieldNames: [], fieldTypes: [] }),
      EnumInfo: new usingpg.EnumInfo('e', 1, 2, []),
      Range: new usingpg.Range(1, 2),
      Multirange: new usingpg.Multirange(),
      PoolOptions: OPTIONS,
      composable: usingpg.sql.SQL('x'),
    };
    const unknown = names.filter((name) => {
      const [owner, member] = name.split('.') as [string, string | undefined];
      const exported: unknown = Reflect.get(usingpg, owner);
      if (member === undefined) return exported === undefined;
      return ![instances[owner], exported].some((place) => member in Object(place));
    });
    expect(unknown).toEqual([]);
  });
});
