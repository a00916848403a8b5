import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  AsyncConnection,
  conninfoToDict,
  dictRow,
  errors,
  makeConninfo,
  type ConnectOptions,
  type Params,
} from '../../src/index.js';
import { dsn } from '../support/database.js';
import { FakeServer } from '../support/fake-server.js';
import { Random, seedFrom } from '../support/random.js';
import { record, replay, type Recording } from '../support/recording.js';
import { PASSWORD_ROLE } from '../support/server.js';
import { mutate, type Harm } from './mutations.js';
import { warningsOf } from '../support/warnings.js';

// The client's part of a sign-in must equal the recorded one, which the server's recorded part answers.
const { randomBytes } = crypto;
crypto.randomBytes = (length: number) => Buffer.alloc(length, 'usingpg');
syncBuiltinESMExports();

/** The number of concurrent connections. */
const CONCURRENT_SERVERS = 48;
/** Seconds for which the server waits for a client that sends nothing. */
const PATIENCE = 0.15;
/** The same where the server must not close the connection of a slow client. */
const LONG_PATIENCE = 30;
/** The maximum duration of anything, in seconds, on a busy machine. */
const BOUND = 20;
/** The maximum memory in buffers, in MiB; messages declare lengths of up to 2 GiB. */
const MOST_BUFFERED = 256;

const SEED = seedFrom('MUTATION_SEED', 1);
const CASES = 10_000;

/** The results that a user of the client has seen, step by step; those of the last step may be incomplete. */
class Observed {
  readonly steps: { readonly name: string; readonly rows: string[]; done: boolean }[] = [];

  begin(name: string): { row(row: unknown): void; done(): void } {
    const step = { name, rows: [] as string[], done: false };
    this.steps.push(step);
    return {
      row: (row) => step.rows.push(inspect(row, { depth: 9 })),
      done: () => (step.done = true),
    };
  }

  all(name: string, rows: readonly unknown[]): void {
    const step = this.begin(name);
    for (const row of rows) step.row(row);
    step.done();
  }
}

type Play = (connection: AsyncConnection, observed: Observed) => Promise<void>;

interface Exchange {
  readonly play: Play;
  readonly options?: ConnectOptions<unknown>;
  readonly user?: { readonly user: string; readonly password: string };
}

const VALUES =
  'i AS id, i * 10000000000 AS big, i::numeric / 7 AS exact, i / 3.0::float8 AS rough, ' +
  "repeat('text ä ', i) AS text, decode(md5(i::text), 'hex') AS bytes, DATE '2024-02-28' + i AS day, " +
  "timestamptz '2024-01-01 12:00+00' + i * interval '1 hour' AS moment, interval '1 day 02:03:04.5' * i AS span, " +
  "jsonb_build_object('i', i, 'list', jsonb_build_array(i, null, 'x')) AS json, ARRAY[i, NULL, -i] AS numbers, " +
  "ARRAY[['a\"b', NULL], ['{', i::text]] AS texts, mod(i, 2) = 0 AS even, NULL::int AS nothing, int4range(i, i + 5) AS range";
const ROWS = `SELECT ${VALUES}, md5((i, ${VALUES.replace(/ AS \w+/g, '')})::text) AS checksum FROM generate_series(1, %s) i`;

async function rowsOf(
  connection: AsyncConnection,
  query: string,
  params?: Params,
  prepare?: boolean,
): Promise<unknown[]> {
  const cursor = await connection.execute(query, params, prepare === undefined ? {} : { prepare });
  return cursor.fetchall();
}

const exchanges: Readonly<Record<string, Exchange>> = {
  'sign-in with SCRAM': {
    user: PASSWORD_ROLE,
    play: async (connection, observed) => {
      observed.all('one', await rowsOf(connection, 'SELECT 1 AS one, current_user'));
    },
  },
  'rows of many types': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      observed.all('rows', await rowsOf(connection, ROWS, [6]));
      observed.all('none', await rowsOf(connection, ROWS, [0]));
    },
  },
  'rows of a prepared statement, some of them in the binary format': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      observed.all('described', await rowsOf(connection, ROWS, [6], true));
      observed.all('known', await rowsOf(connection, ROWS, [6], true));
      observed.all('none', await rowsOf(connection, ROWS, [0], true));
    },
  },
  'rows as objects': {
    options: { autocommit: true, rowFactory: dictRow },
    play: async (connection, observed) => {
      observed.all('rows', await rowsOf(connection, ROWS, [4]));
    },
  },
  'several statements at once': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      const cursor = await connection.execute(
        "SELECT g, md5(g::text) FROM generate_series(1, 4) g; SET application_name = 'mutated'; SELECT 'last', NULL",
      );
      observed.all('first', await cursor.fetchall());
      let last: unknown[] = [];
      while ((await cursor.nextset()) === true)
        if (cursor.description !== null) last = await cursor.fetchall();
      observed.all('last', last);
    },
  },
  'simple and extended statements in flight together': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      const results = await Promise.allSettled([
        rowsOf(connection, "SELECT 'a', g FROM generate_series(1, 3) g"),
        rowsOf(connection, "SELECT 'b', g FROM generate_series(1, %s) g", [3]),
        rowsOf(connection, "SELECT 'c', g FROM generate_series(1, 3) g"),
        rowsOf(connection, "SELECT 'd', g FROM generate_series(1, %s) g", [3]),
      ]);
      let failure: unknown = null;
      for (const [i, result] of results.entries()) {
        if (result.status === 'fulfilled') observed.all(String(i), result.value);
        else failure ??= result.reason;
      }
      if (failure !== null) throw failure as Error;
    },
  },
  'a prepared statement, again and again': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      for (let i = 0; i < 4; i++) {
        const query = 'SELECT %s::int AS n, md5(%s::text) FROM generate_series(1, 3)';
        observed.all(String(i), await rowsOf(connection, query, [i, i], true));
      }
    },
  },
  'a transaction that fails and one that does not': {
    play: async (connection, observed) => {
      await connection.execute('CREATE TEMP TABLE mutated (id int PRIMARY KEY, note text)');
      await connection.execute('INSERT INTO mutated VALUES (%s, %s)', [1, 'one']);
      await connection.commit();
      const error: unknown = await connection
        .execute('INSERT INTO mutated VALUES (%s, %s)', [1, 'again'])
        .then(() => null)
        .catch((reason: unknown) => reason);
      if (!(error instanceof errors.UniqueViolation)) {
        throw error instanceof Error ? error : new errors.DataError('it did not fail');
      }
      await connection.rollback();
      await connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; END $$");
      observed.all('rows', await rowsOf(connection, 'SELECT id, note FROM mutated'));
      await connection.commit();
    },
  },
  'a pipeline': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      const cursors = await connection.withPipeline(async () => [
        await connection.execute('SELECT %s::int, %s::text', [1, 'one']),
        await connection.execute('SELECT g, md5(g::text) FROM generate_series(1, %s) g', [3]),
        await connection.execute('SELECT %s::int, %s::text', [3, 'three']),
      ]);
      for (const [i, cursor] of cursors.entries()) observed.all(String(i), await cursor.fetchall());
    },
  },
  'a stream': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      const step = observed.begin('rows');
      const query = 'SELECT g, md5(g::text) FROM generate_series(1, %s) g';
      for await (const row of connection.cursor().stream(query, [11], { size: 3 })) step.row(row);
      step.done();
    },
  },
  'a server cursor': {
    play: async (connection, observed) => {
      await using cursor = connection.cursor({ name: 'mutated' });
      await cursor.execute('SELECT g, md5(g::text) FROM generate_series(1, 9) g');
      for (let i = 0; i < 3; i++) observed.all(String(i), await cursor.fetchmany(4));
    },
  },
  'COPY out': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      await using copy = await connection
        .cursor()
        .copy('COPY (SELECT g, md5(g::text) FROM generate_series(1, 8) g) TO STDOUT');
      const step = observed.begin('rows');
      for await (const row of copy.rows()) step.row(row);
      step.done();
    },
  },
  'COPY in': {
    options: { autocommit: true },
    play: async (connection, observed) => {
      await connection.execute('CREATE TEMP TABLE copied (id int, note text)');
      const cursor = connection.cursor();
      await cursor.withCopy('COPY copied FROM STDIN', async (copy) => {
        for (let i = 0; i < 5; i++) await copy.writeRow([i, `note ${String(i)}`]);
      });
      observed.all('rows', await rowsOf(connection, 'SELECT id, note FROM copied ORDER BY id'));
    },
  },
  notifications: {
    options: { autocommit: true },
    play: async (connection, observed) => {
      await connection.execute('LISTEN mutated');
      for (let i = 0; i < 3; i++) await connection.execute("SELECT pg_notify('mutated', %s)", [String(i)]);
      const step = observed.begin('notifications');
      for await (const { channel, payload } of connection.notifies({ timeout: 1, stopAfter: 3 })) {
        step.row([channel, payload]);
      }
    },
  },
};

const needsOwnServer = ['sign-in with SCRAM'];
const names = Object.keys(exchanges).filter(
  (name) => process.env['DATABASE_URL'] === undefined || !needsOwnServer.includes(name),
);

/** Plays an exchange through a port. Throws its error after the connection has been closed. */
async function playExchange(name: string, port: number, observed: Observed): Promise<void> {
  const { play, options = {}, user = {} } = exchanges[name]!;
  const conninfo = makeConninfo(dsn(), {
    host: '127.0.0.1',
    port,
    sslmode: 'disable',
    connect_timeout: BOUND,
    ...user,
  });
  const connection = await AsyncConnection.connect(conninfo, options);
  try {
    await play(connection as AsyncConnection, observed);
  } finally {
    await connection.close();
  }
}

const recordings = new Map<string, Recording>();
const expected = new Map<string, Observed>();

beforeAll(async () => {
  const { host, port } = conninfoToDict(inject('dsn'));
  for (const name of names) {
    const observed = new Observed();
    const recording = await record({ host: host!, port: Number(port) }, (through) =>
      playExchange(name, through, observed),
    );
    recordings.set(name, recording);
    expected.set(name, observed);
  }
});

afterAll(() => {
  crypto.randomBytes = randomBytes;
  syncBuiltinESMExports();
});

/** Throws an error if the user of a client has seen anything wrong. */
function verify(name: string, harm: Harm, observed: Observed): void {
  if (harm === 'values') return;
  for (const [i, step] of observed.steps.entries()) {
    const right = expected.get(name)!.steps.find((known) => known.name === step.name);
    if (right === undefined) throw new Error(`step ${String(i)}, '${step.name}', is none of its steps`);
    if (harm === 'rows') {
      const strange = step.rows.find((row) => !right.rows.includes(row));
      if (strange !== undefined) throw new Error(`in '${step.name}' there is a wrong row: ${strange}`);
    } else {
      const rows = step.done ? right.rows : right.rows.slice(0, step.rows.length);
      expect(step.rows, `rows of '${step.name}'`).toEqual(rows);
    }
  }
}

interface Outcome {
  readonly error: unknown;
  readonly seconds: number;
  readonly observed: Observed;
}

/** A server that replays recordings to successive clients. */
class ReplayServer implements AsyncDisposable {
  #recording: Recording = [];
  #clients = 0;
  #server!: FakeServer;

  static async open(patience: number): Promise<ReplayServer> {
    const server = new ReplayServer();
    server.#server = await FakeServer.running(
      replay(
        () => server.#recording,
        patience,
        () => server.#clients++,
      ),
    );
    return server;
  }

  async run(name: string, recording: Recording): Promise<Outcome> {
    this.#recording = recording;
    this.#clients = 0;
    const observed = new Observed();
    const began = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`it has not ended after ${String(BOUND)} seconds`));
      }, BOUND * 1000);
    });
    const error: unknown = await Promise.race([playExchange(name, this.#server.port, observed), late])
      .then(() => null)
      .catch((reason: unknown) => reason);
    clearTimeout(timer);
    if (this.#clients !== 1) {
      throw new Error(`it connected ${String(this.#clients)} times`, { cause: error });
    }
    return { error, seconds: (performance.now() - began) / 1000, observed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

describe('a server whose messages', () => {
  it('are replayed unchanged gives the same answers', async () => {
    await using server = await ReplayServer.open(LONG_PATIENCE);
    for (const name of names) {
      const { error, observed } = await server.run(name, recordings.get(name)!);
      expect(error, name).toBeNull();
      expect(observed.steps, name).toEqual(expected.get(name)!.steps);
    }
  });

  it('are mutated leads to a correct row or a typed error, in bounded time and memory', async () => {
    const only = process.env['MUTATION_CASE'];
    const cases = only === undefined ? [...Array(CASES).keys()] : [Number(only)];
    let next = 0;
    let failed = 0;
    let slowest = 0;
    let buffered = 0;
    const wrong: string[] = [];
    const work = async (): Promise<void> => {
      await using server = await ReplayServer.open(PATIENCE);
      while (next < cases.length && wrong.length < 10) {
        const number = cases[next++]!;
        const random = new Random(SEED * 1_000_003 + number);
        const name = names[number % names.length]!;
        const { recording, harm, description } = mutate(random, recordings.get(name)!);
        try {
          const { error, seconds, observed } = await server.run(name, recording);
          slowest = Math.max(slowest, seconds);
          buffered = Math.max(buffered, process.memoryUsage().arrayBuffers / 2 ** 20);
          if (error !== null) failed++;
          if (error !== null) expect(error).toBeInstanceOf(errors.Error);
          verify(name, harm, observed);
        } catch (problem) {
          wrong.push(
            `MUTATION_SEED=${String(SEED)} MUTATION_CASE=${String(number)}: ${name}, ${description}:\n${inspect(problem)}`,
          );
        }
      }
    };
    // A mutated answer may report a write.
    await warningsOf('USINGPG_UNCOMMITTED', () =>
      Promise.all(Array.from({ length: Math.min(CONCURRENT_SERVERS, cases.length) }, work)),
    );
    expect(wrong.join('\n\n')).toBe('');
    expect(slowest).toBeLessThan(BOUND);
    expect(buffered).toBeLessThan(MOST_BUFFERED);
    if (only === undefined) {
      // Some mutations are harmless, and some are refused.
      expect(failed).toBeGreaterThan(CASES / 4);
      expect(failed).toBeLessThan(CASES);
      console.log(
        `${String(CASES)} mutated messages, seed ${String(SEED)}: ${String(failed)} errors, the slowest ${slowest.toFixed(1)} s,` +
          ` at most ${buffered.toFixed(0)} MiB in buffers`,
      );
    }
  }, 300_000);
});
