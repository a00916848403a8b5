import { expect, test } from 'vitest';
import {
  adapters,
  argsRow,
  AsyncClientCursor,
  AsyncNullConnectionPool,
  AsyncServerCursor,
  classRow,
  conninfoToDict,
  dictRow,
  errors,
  Jsonb,
  kwargsRow,
  makeConninfo,
  Multirange,
  Numeric,
  schemaRow,
  sql,
  type AsyncConnection,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

// Arguments and properties that have a value of the wrong kind, which the types of TypeScript would refuse.

/** A value of any type, for an argument of another. */
function wrong(value: unknown): never {
  return value as never;
}

/** The message of the error of this library that a call throws or rejects with. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof errors.Error)) throw error;
    return error.message;
  }
  return 'accepted';
}

test.each<[string, () => unknown, string]>([
  ['classRow', () => classRow(wrong(5)), 'expected the argument of classRow() to be a function, got 5'],
  ['argsRow', () => argsRow(wrong(null)), 'expected the argument of argsRow() to be a function, got null'],
  [
    'kwargsRow',
    () => kwargsRow(wrong({})),
    'expected the argument of kwargsRow() to be a function, got an object',
  ],
  [
    'schemaRow',
    () => schemaRow(wrong({ id: 'number' })),
    'expected the argument of schemaRow() to be a schema that implements Standard Schema, got an object',
  ],
  [
    'Multirange',
    () => new Multirange(wrong(5)),
    'expected the ranges of a Multirange to be an iterable, got 5',
  ],
  [
    'Multirange, of a single range',
    () => new Multirange(wrong(['[1,2)'])),
    'a Multirange is made of Range objects, got a string at index 0',
  ],
  ['Numeric', () => new Numeric(wrong(['1'])), 'Numeric takes a decimal number, got an array'],
  [
    'Jsonb',
    () => new Jsonb({}, wrong({ dump: JSON.stringify })),
    'unknown option `dump` of new Jsonb(): write `dumps: …`',
  ],
  [
    'registerLoader',
    () => {
      adapters.clone().registerLoader(wrong(null), String);
    },
    'expected a type to be the name or the oid of a type, got null',
  ],
  [
    'registerLoader, of no oid',
    () => {
      adapters.clone().registerLoader(-1, String);
    },
    'expected a type to be the name or the oid of a type, got -1',
  ],
  [
    'a cursor',
    () => new AsyncClientCursor(wrong({})),
    'expected the first argument of a cursor to be a connection, got an object',
  ],
  [
    'a server cursor',
    () => new AsyncServerCursor(wrong(null), 'name'),
    'expected the first argument of a cursor to be a connection, got null',
  ],
  [
    'sql.quote',
    () => sql.quote('a', wrong('conn')),
    'expected the context of a composed query to be a connection or a cursor, got the string "conn"',
  ],
  [
    'conninfoToDict',
    () => conninfoToDict(wrong({ host: 'a' })),
    'expected the connection string to be a string, got an object',
  ],
  [
    'makeConninfo',
    () => makeConninfo('host=a', wrong(5432)),
    'expected the connection parameters to be an object, got 5432',
  ],
  [
    'a null pool',
    () => new AsyncNullConnectionPool(dsn(), wrong([])),
    'expected the options of new AsyncNullConnectionPool() to be an object, got an array; write `new AsyncNullConnectionPool(conninfo, { minSize, maxSize, open, connectOptions, connectionClass, name, … })`',
  ],
])('%s refuses an argument of the wrong kind at once', async (_, call, message) => {
  expect(await refusal(call)).toBe(message);
});

test.each<[string, (conn: AsyncConnection) => unknown, string]>([
  [
    'conn.prepareThreshold',
    (conn) => (conn.prepareThreshold = wrong('5')),
    'expected `prepareThreshold` to be a number, 0 or more, or null, got the string "5"',
  ],
  [
    'conn.preparedMax',
    (conn) => (conn.preparedMax = -1),
    'expected `preparedMax` to be a number, 0 or more, or null, got -1',
  ],
  [
    'addNotifyHandler()',
    (conn) => {
      conn.addNotifyHandler(wrong('print'));
    },
    'expected a notify handler to be a function, got the string "print"',
  ],
  [
    'addNoticeHandler()',
    (conn) => {
      conn.addNoticeHandler(wrong(undefined));
    },
    'expected a notice handler to be a function, got undefined',
  ],
  ['onLost()', (conn) => conn.onLost(wrong(1)), 'expected a loss handler to be a function, got 1'],
  [
    'cursor.rowFactory',
    (conn) => (conn.cursor().rowFactory = wrong({})),
    'expected `rowFactory` to be a function, got an object',
  ],
  [
    'conn.rowFactory',
    (conn) => (conn.rowFactory = wrong(5)),
    'expected `rowFactory` to be a function, got 5',
  ],
  [
    'conn.cursorFactory',
    (conn) => (conn.cursorFactory = wrong('AsyncRawCursor')),
    'expected `cursorFactory` to be a function, got the string "AsyncRawCursor"',
  ],
  [
    'conn.serverCursorFactory',
    (conn) => (conn.serverCursorFactory = wrong(null)),
    'expected `serverCursorFactory` to be a function, got null',
  ],
  [
    'cursor.arraysize',
    (conn) => (conn.cursor().arraysize = NaN),
    'expected `arraysize` to be a whole number from 1 to 2147483647, got NaN',
  ],
  [
    'arraysize of a server-side cursor',
    (conn) => (conn.cursor({ name: 'sized' }).arraysize = 0),
    'expected `arraysize` to be a whole number from 1 to 2147483647, got 0',
  ],
  [
    'cursor.itersize',
    (conn) => (conn.cursor({ name: 'sized' }).itersize = wrong('100')),
    'expected `itersize` to be a whole number from 1 to 2147483647, got the string "100"',
  ],
  [
    'scroll()',
    async (conn) => (await conn.execute('SELECT 1')).scroll(wrong('0')),
    'expected the value of scroll() to be a whole number, got the string "0"',
  ],
])('%s refuses a value of the wrong kind', async (_, call, message) => {
  const conn = await connect();
  expect(await refusal(() => call(conn))).toBe(message);
});

test('a size that was refused leaves the one before it', async () => {
  const conn = await connect();
  await using cur = conn.cursor({ name: 'sized' });
  cur.arraysize = 2;
  cur.itersize = 3;
  for (const rows of [0, 1.5, 2 ** 31, wrong(null)]) {
    expect(() => (cur.arraysize = rows)).toThrow(errors.ProgrammingError);
    expect(() => (cur.itersize = rows)).toThrow(errors.ProgrammingError);
  }
  expect([cur.arraysize, cur.itersize]).toEqual([2, 3]);
  await cur.execute('SELECT generate_series(1, 5)');
  expect(await cur.fetchmany()).toEqual([[1], [2]]);
});

test('a function of a row in place of a row factory is told what makes one of it', async () => {
  const conn = await connect();
  const toUser = (row: unknown) => ({ row });
  const cur = conn.cursor({ rowFactory: wrong(toUser) });
  await expect(cur.execute('SELECT 1 AS id')).rejects.toThrow(
    'expected what a row factory returns to be a function that makes a row of its values (for a function of a row itself there are argsRow(), kwargsRow() and classRow()), got an object',
  );
  // The result is there for a factory that is one.
  cur.rowFactory = wrong(dictRow);
  expect(await cur.fetchall()).toEqual([{ id: 1 }]);
});
