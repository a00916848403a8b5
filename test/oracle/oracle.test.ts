import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { AsyncConnection, type Params } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';
import { AREAS, EXCEPTIONS, LEFT_OUT } from './exceptions.js';
import { replay, type Environment } from './replay.js';
import { scenariosOf, type Expected, type Scenario, type State } from './scenario.js';

/** A database of its own, since the scenarios' tables have common names. */
const DATABASE = `oracle_${String(process.pid)}`;
const OPTIONS =
  '-c lock_timeout=3s -c timezone=UTC -c datestyle=ISO,MDY -c intervalstyle=postgres -c client_min_messages=warning';

let administrator: pg.Client;
let sender: AsyncConnection;
let environment: Environment;

beforeAll(async () => {
  await withMaintenance((client) => client.query(`CREATE DATABASE ${DATABASE}`));
  const url = dsn({ dbname: DATABASE, options: OPTIONS });
  sender = await AsyncConnection.connect(url, { autocommit: true });
  administrator = new pg.Client(inDatabase(DATABASE));
  await administrator.connect();
  await administrator.query('CREATE EXTENSION IF NOT EXISTS hstore');
  environment = {
    dsn: url,
    sameVersion: Math.floor(sender.info.serverVersion / 10_000) === 15,
    roundTrip: async (value, type) => {
      const cursor = await sender.execute(`select %s::${type}::text`, [value] as Params);
      return (await cursor.fetchone())?.[0];
    },
    leftOut: LEFT_OUT,
  };
});

afterAll(async () => {
  await sender.close();
  await administrator.end();
  await withMaintenance((client) => client.query(`DROP DATABASE ${DATABASE} WITH (FORCE)`));
});

describe.each(AREAS)('Psycopg’s behaviour: %s', (area) => {
  const scenarios = scenariosOf(area).filter(({ id }) => !(id in EXCEPTIONS));
  test.each(scenarios.map((scenario) => [scenario.id, scenario.name ?? scenario.area, scenario] as const))(
    '%s: %s',
    async (_id, _name, scenario) => {
      for (const statement of scenario.setup ?? []) await administrator.query(statement);
      try {
        // A rollback that is silent in Psycopg causes a warning here.
        await warningsOf('USINGPG_UNCOMMITTED', () => replay(scenario, environment));
      } finally {
        await rollbackPrepared();
        for (const statement of scenario.teardown ?? []) await administrator.query(statement);
      }
    },
  );
});

test('every exception names a scenario that exists', () => {
  const ids = AREAS.flatMap((area) => scenariosOf(area).map(({ id }) => id));
  expect(ids).toEqual(expect.arrayContaining(Object.keys(EXCEPTIONS)));
});

describe('the replay', () => {
  const scenario = (expected: Expected, state: State): Scenario => ({
    id: 'made up',
    area: 'execute',
    steps: [{ on: 'cur', call: 'execute', args: ['select 1/0'], expect: expected, state }],
  });
  const right = { error: 'DivisionByZero', is_a: ['DataError'], sqlstate: '22012' };

  test('accepts the recorded outcome', async () => {
    await replay(scenario(right, { status: 'INERROR', rowcount: -1 }), environment);
  });

  test.each([
    ['a result in place of an error', { ok: null }, {}],
    ['another class', { ...right, error: 'DataError' }, {}],
    ['another parent', { ...right, is_a: ['IntegrityError'] }, {}],
    ['another SQLSTATE', { ...right, sqlstate: '22000' }, {}],
    ['another transaction status', right, { status: 'INTRANS' }],
    ['another row count', right, { rowcount: 0 }],
    ['another description', right, { description: [['x', 23, null, 4, null, null]] }],
  ] as const)('refuses %s', async (_difference, expected, state) => {
    await expect(replay(scenario(expected, state), environment)).rejects.toThrow('made up');
  });
});

async function rollbackPrepared(): Promise<void> {
  const { rows } = await administrator.query<{ gid: string }>(
    'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
  );
  for (const { gid } of rows)
    await administrator.query(`ROLLBACK PREPARED ${administrator.escapeLiteral(gid)}`);
}

async function withMaintenance(body: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(inject('dsn'));
  await client.connect();
  try {
    await body(client);
  } finally {
    await client.end();
  }
}

function inDatabase(name: string): string {
  const url = new URL(inject('dsn'));
  url.pathname = `/${name}`;
  return url.href;
}
