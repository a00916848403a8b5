import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { rejection } from '../../support/database.js';
import { connect, makePool } from './clients.js';

test('BEGIN, COMMIT and ROLLBACK are sent as text on a client', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE account (n int)');
  expect(client.getTransactionStatus()).toBe('I');
  await client.query('BEGIN');
  await client.query('INSERT INTO account VALUES (1)');
  expect(client.getTransactionStatus()).toBe('T');
  await client.query('ROLLBACK');
  await client.query('START TRANSACTION ISOLATION LEVEL SERIALIZABLE');
  await client.query('SAVEPOINT a');
  await expect(client.query('nonsense')).rejects.toMatchObject({ code: '42601' });
  expect(client.getTransactionStatus()).toBe('E');
  await client.query('ROLLBACK TO SAVEPOINT a');
  await client.query('INSERT INTO account VALUES (2)');
  await client.query('COMMIT');
  expect((await client.query('SELECT n FROM account')).rows).toEqual([{ n: 2 }]);
});

test('a COMMIT that the server answered with a rollback rejects, with the error of the statement as its cause', async () => {
  const client = await connect();
  await client.query('BEGIN');
  await rejection(client.query('SELECT nonsense'));
  await rejection(client.query('SELECT 1'));
  const error = await rejection(client.query('COMMIT'));
  expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
  expect(error).toMatchObject({ code: '25P02', cause: { code: '42703' } });
  expect(client.getTransactionStatus()).toBe('I');
});

test('the error of an earlier transaction is not the cause of a later one’s rollback', async () => {
  const client = await connect();
  for (const statement of ['SELECT nonsense', 'SELECT 1/0']) {
    await client.query('BEGIN');
    await rejection(client.query(statement));
    const error = await rejection(client.query('END'));
    expect(error.cause).toMatchObject({ query: statement });
  }
});

test('BEGIN within a transaction is refused, and the open transaction goes on', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE task (n int)');
  const transfer = async (n: number): Promise<void> => {
    await client.query('BEGIN');
    await client.query('INSERT INTO task VALUES ($1)', [n]);
    await client.query('COMMIT');
  };
  const outcomes = await Promise.allSettled([transfer(1), transfer(2)]);
  expect(outcomes).toMatchObject([
    { status: 'fulfilled' },
    {
      status: 'rejected',
      reason: { code: '25001', message: expect.stringContaining('pool.connect()') as string },
    },
  ]);
  expect((await client.query('SELECT n FROM task')).rows).toEqual([{ n: 1 }]);
});

test.for([
  'COMMIT',
  '-- done\n/* and */ commit;',
  '/* /* a */ b */ COMMIT',
  '-- done\rCOMMIT/**/AND CHAIN',
  'END',
])('%j without a transaction is refused', async (text) => {
  const client = await connect();
  await expect(client.query(text)).rejects.toThrow(errors.NoActiveSqlTransaction);
  expect((await client.query('ROLLBACK')).command).toBe('ROLLBACK');
});

test.for(['/* /* a */ b */ BEGIN', 'BEGIN/**/WORK', 'START /* a /* b */ */ -- c\n TRANSACTION'])(
  '%j within a transaction is refused',
  async (text) => {
    const client = await connect();
    await client.query(text);
    expect(client.getTransactionStatus()).toBe('T');
    await expect(client.query(text)).rejects.toThrow(errors.ActiveSqlTransaction);
    await client.query('COMMIT');
  },
);

test.for(["COMMIT/* a */PREPARED 'nonsense'", 'beginé', 'begin$', 'START nonsense', '/* COMMIT'])(
  '%j reaches the server, which refuses it',
  async (text) => {
    const client = await connect();
    const refused = { code: text.includes('PREPARED') ? '42704' : '42601' };
    await expect(client.query(text)).rejects.toMatchObject(refused);
    await client.query('BEGIN');
    if (text.includes('PREPARED')) refused.code = '25001';
    const error = await rejection(client.query(text));
    expect(error).toMatchObject(refused);
    expect(error.message).not.toContain('pool.connect()');
    await client.query('ROLLBACK');
  },
);

test('words that only begin like those of a transaction are statements like others', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE ending (n int)');
  await client.query('BEGIN');
  await client.query("/* BEGIN */ SELECT 'BEGIN'");
  await client.query('SELECT 1 AS begin_');
  await client.query('COMMIT');
  await expect(client.query('COMMITTED')).rejects.toMatchObject({ code: '42601' });
});

test('pool.query() raises if it leaves a transaction open, and rolls it back', async () => {
  const pool = makePool({ max: 1 });
  const error = await rejection(pool.query('BEGIN'));
  expect(error).toBeInstanceOf(errors.ProgrammingError);
  expect(error.message).toContain('pool.connect()');
  const client = await pool.connect();
  expect(client.getTransactionStatus()).toBe('I');
  client.release();
  const results = await pool.query('BEGIN; SELECT 1; COMMIT');
  expect(results).toHaveLength(3);
});

test('a client that is released within a transaction comes back without it', async () => {
  const pool = makePool({ max: 1 });
  const client = await pool.connect();
  const { processID } = client;
  await client.query('BEGIN');
  await client.query('SELECT 1');
  client.release();
  const next = await pool.connect();
  expect([next.processID, next.getTransactionStatus()]).toEqual([processID, 'I']);
  next.release();
});
