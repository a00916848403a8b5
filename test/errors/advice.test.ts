import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncConnection, type Params } from '../../src/index.js';
import { ADVICE, adviceFor } from '../../src/errors/advice.js';
import { errorFromResponse } from '../../src/errors/server-error.js';
import { dsn } from '../support/database.js';

let conn: AsyncConnection;
const given: string[] = [];
beforeAll(async () => {
  conn = await AsyncConnection.connect(dsn());
  await conn.execute('CREATE TEMP TABLE item (id int, name text, data jsonb, plain json)');
  await conn.commit();
});
afterAll(() => conn.close());

async function refusal(
  query: string,
  params?: Params,
): Promise<Error & { diag: { messagePrimary: string | null } }> {
  const error: unknown = await conn.execute(query, params).catch((reason: unknown) => reason);
  await conn.rollback();
  return error as never;
}

describe('the message of a common mistake contains advice:', () => {
  it.each<[string, Params | undefined, RegExp]>([
    ['SELECT * FROM item WHERE id IN %s', [[1, 2]], /= ANY\(%s\)/],
    ['SELECT * FROM item WHERE id IN (%s)', [[1, 2]], /= ANY\(%s\)/],
    ['SELECT * FROM item WHERE id IN (%s)', [['1', '2']], /= ANY\(%s\)/],
    ['SELECT now() - INTERVAL %s', ['1 day'], /%s::interval/],
    ['SELECT DATE %s', ['2024-05-01'], /cast the parameter/],
    ['SET search_path = %s', ['public'], /AsyncClientCursor.*sql\.Literal/],
    ['NOTIFY channel, %s', ['x'], /AsyncClientCursor/],
    ['CREATE ROLE nobody_at_all PASSWORD %s', ['x'], /AsyncClientCursor/],
    ['CREATE TEMP VIEW v AS SELECT %s::int', [1], /AsyncClientCursor/],
    ['SELECT %s IS NULL', [null], /%s::text/],
    ['INSERT INTO item (data) VALUES (%s)', [[1, 2]], /new Jsonb/],
    ['INSERT INTO item (plain) VALUES (%s)', [[1, 2]], /new Json/],
    ['INSERT INTO item (data) VALUES (%s)', ['a'], /new Jsonb/],
    ['SELECT * FROM item WHERE name = %s', [1], /pass a string/],
    ['VACUUM item', undefined, /setAutocommit\(true\)/],
    ['CREATE DATABASE nowhere', undefined, /autocommit: true/],
    ['SELECT %s * %s', [30_000, 2], /%s::int/],
  ])('%s with %j', async (query, params, advice) => {
    const error = await refusal(query, params);
    given.push(error.message);
    expect(error.message).toMatch(new RegExp(`\nADVICE: {2}.*${advice.source}`));
    // The server's message comes first, unchanged.
    expect(error.message.startsWith(error.diag.messagePrimary!)).toBe(true);
    expect(error.diag.messagePrimary).not.toMatch(/ADVICE/);
  });

  it.each([
    ['26000', 'prepared statement "s1" does not exist', /prepareThreshold: null/],
    ['42P05', 'prepared statement "s1" already exists', /prepareThreshold: null/],
    ['53300', 'sorry, too many clients already', /maxSize/],
    ['22P03', 'incorrect binary data format', /setTypes/],
  ])('%s %s', (sqlstate, message, advice) => {
    const error = errorFromResponse(
      new Map([
        ['C', sqlstate],
        ['M', message],
      ]),
      'SELECT 1',
    );
    given.push(error.message);
    expect(error.message).toMatch(advice);
  });

  it('each entry of the table is covered by one of these', () => {
    expect(ADVICE.filter(({ advice }) => !given.some((message) => message.endsWith(advice)))).toEqual([]);
  });

  it.each([
    ['SELECT $1', /a placeholder is %s, not \$1, which an AsyncRawCursor takes/],
    ['SELECT * FROM item WHERE id = ?', /a placeholder is %s, not \?$/],
  ])('%s with parameters', async (query, message) => {
    expect((await refusal(query, [1])).message).toMatch(message);
  });
});

describe('other mistakes keep the server’s message', () => {
  it.each<[string, Params | undefined]>([
    ['SELECT 1 / %s', [0]],
    ['SELECT * FROM nowhere WHERE id IN (%s)', [1]],
    ['SELECT * FORM item', undefined],
    ['SELECT name + id FROM item', undefined],
  ])('%s', async (query, params) => {
    expect((await refusal(query, params)).message).not.toMatch(/ADVICE/);
  });

  it('any query is scanned in linear time', () => {
    const query = `SET ${'in '.repeat(300_000)}${' '.repeat(300_000)}`;
    expect(adviceFor('42601', 'syntax error at or near "$1"', query)).toMatch(/AsyncClientCursor/);
  });
});
