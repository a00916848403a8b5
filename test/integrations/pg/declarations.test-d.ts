// Checked by the compiler, never run: what programs for node-postgres write compiles for `usingpg/pg`.
import { expectTypeOf } from 'expect-type';
import type { Pool } from '../../../src/integrations/pg/index.js';
import pg, {
  type Client,
  type ClientBase,
  type PoolClient,
  type QueryConfig,
  type QueryResult,
} from '../../../src/integrations/pg/index.js';

interface City {
  id: number;
  name: string;
}

declare const pool: Pool;
declare const client: PoolClient;

// The types of the rows and of the values are given.
expectTypeOf((await pool.query<City>('SELECT 1', [1])).rows).toEqualTypeOf<City[]>();
expectTypeOf((await client.query<City, [number]>('SELECT $1', [1])).rows).toEqualTypeOf<City[]>();
expectTypeOf((await client.query<[number, string]>({ text: '', rowMode: 'array' })).rows).toEqualTypeOf<
  [number, string][]
>();
// @ts-expect-error -- another value
await pool.query<City, [number]>('SELECT $1', ['one']);
// @ts-expect-error -- values are an array
await pool.query('SELECT $1', 'one');

// A configuration is filled step by step.
const query: QueryConfig = { text: 'SELECT $1', values: [] };
query.values!.push(1);
await pool.query<City>(query);

// Lists that are read-only are values, too.
await pool.query({ text: 'SELECT $1', values: [1, 'one'] as const });
await pool.query('SELECT $1', [1, 'one'] as const);

// The default export has the types, too.
expectTypeOf<pg.Pool>().toEqualTypeOf<Pool>();
expectTypeOf<pg.Client>().toEqualTypeOf<Client>();
expectTypeOf<pg.ClientBase>().toEqualTypeOf<ClientBase>();
expectTypeOf<pg.PoolClient>().toEqualTypeOf<PoolClient>();
expectTypeOf<pg.QueryConfig<[number]>>().toEqualTypeOf<QueryConfig<[number]>>();
expectTypeOf<pg.QueryResult<City>>().toEqualTypeOf<QueryResult<City>>();
expectTypeOf(new pg.Pool()).toEqualTypeOf<pg.Pool>();
expectTypeOf<pg.Pool>().not.toBeAny();
