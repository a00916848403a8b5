import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as tick } from 'node:timers/promises';
import postgres from 'postgres';
import { afterEach, describe, expect, it, vi } from 'vitest';

/*
 * What src/wire/engine.ts relies on in postgres.js. Much of it is no promise of that library, which is why its version is pinned: an
 * upgrade that shifts one of these behaviours fails here, with its name.
 */

interface Instance {
  unsafe(text: string, params: [], options: { simple: true }): Promise<unknown[]>;
  readonly options: Record<string, unknown>;
}

/** The stream that an instance uses. Its writes are recorded, and the test answers them. */
class ScriptedStream extends EventEmitter {
  readonly written: Buffer[] = [];
  readonly readyState = 'closed';

  write(bytes: Buffer): boolean {
    this.written.push(Buffer.from(bytes));
    return true;
  }
  end(): this {
    return this;
  }
  destroy(): this {
    return this;
  }
  answer(...messages: Buffer[]): void {
    for (const message of messages) this.emit('data', message);
  }
}

function message(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5, 'latin1');
  return bytes;
}

const AUTHENTICATED = message('R', '\0\0\0\0');
const READY = message('Z', 'I');
const EMPTY = message('I', '');
const FAILED = message('E', 'SERROR\0CXX000\0Mit failed\0\0');
const COMPLETE = message('C', 'SELECT 0\0');

function options(sockets: () => ScriptedStream, changes: Record<string, unknown> = {}): never {
  return {
    socket: sockets,
    host: ['session'],
    port: [0],
    path: false,
    database: 'the database',
    user: 'the user',
    pass: '',
    max: 1,
    max_pipeline: Number.MAX_SAFE_INTEGER,
    ssl: false,
    sslnegotiation: null,
    idle_timeout: null,
    connect_timeout: null,
    max_lifetime: null,
    keep_alive: null,
    backoff: () => 0,
    prepare: false,
    debug: false,
    fetch_types: false,
    no_subscribe: true,
    publications: '',
    target_session_attrs: null,
    connection: { application_name: 'the application' },
    types: {},
    serializers: {},
    parsers: {},
    transform: { undefined: undefined, column: {}, value: {}, row: {} },
    onnotice: () => undefined,
    parameters: {},
    shared: { retries: 0, typeArrayMap: {} },
    ...changes,
  } as never;
}

/** An instance that has sent its startup message, and after the sign-in its empty first query. */
async function signedIn(): Promise<{ sql: Instance; stream: ScriptedStream; calls: () => number }> {
  const stream = new ScriptedStream();
  let calls = 0;
  const sql = postgres(
    options(() => {
      calls++;
      if (calls > 1) throw new Error('a session has one socket');
      return stream;
    }),
  ) as unknown as Instance;
  const first = sql.unsafe('', [], { simple: true });
  const done = first.then(() => undefined);
  await untilWritten(stream);
  stream.answer(AUTHENTICATED, READY);
  await untilWritten(stream, 2);
  stream.answer(EMPTY, READY);
  await done;
  return { sql, stream, calls: () => calls };
}

/** Waits for writes, since postgres.js connects and writes in later turns of the event loop. */
function untilWritten(stream: ScriptedStream, writes = 1): Promise<void> {
  return vi.waitFor(() => {
    expect(stream.written.length).toBeGreaterThanOrEqual(writes);
  });
}

function send(sql: Instance, text: string): Promise<unknown> {
  return sql.unsafe(text, [], { simple: true }).then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

afterEach(() => {
  vi.unstubAllEnvs();
});

it('postgres.js is pinned to the version with these behaviours', () => {
  const { dependencies } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as {
    dependencies: Record<string, string>;
  };
  expect(dependencies['postgres']).toBe('3.4.9');
  const installed = readFileSync(
    new URL('../../node_modules/postgres/package.json', import.meta.url),
    'utf8',
  );
  expect((JSON.parse(installed) as { version: string }).version).toBe('3.4.9');
});

describe('options with `shared`', () => {
  it('are taken as they are, whatever the environment says', () => {
    vi.stubEnv('PGTARGETSESSIONATTRS', 'nonsense');
    vi.stubEnv('PGPASSWORD', 'from the environment');
    vi.stubEnv('PGMAX', '17');
    vi.stubEnv('PGIDLE_TIMEOUT', '1');
    const given = options(() => new ScriptedStream());
    const { options: taken } = postgres(given) as unknown as Instance;
    expect(taken).toBe(given);
    // Without `shared`, the environment applies.
    expect(() =>
      postgres(options(() => new ScriptedStream(), { shared: undefined, target_session_attrs: undefined })),
    ).toThrow(/target_session_attrs/);
  });

  it('read no environment variable, up to the first query', async () => {
    const read = new Set<PropertyKey>();
    const environment = process.env;
    process.env = new Proxy(environment, {
      get: (target, name) => {
        read.add(name);
        return target[name as string];
      },
    });
    try {
      await signedIn();
    } finally {
      process.env = environment;
    }
    expect([...read].filter((name) => String(name).startsWith('PG'))).toEqual([]);
  });
});

describe('connecting', () => {
  it('waits for the first query, then sends one startup message with user, database and settings', async () => {
    const stream = new ScriptedStream();
    let calls = 0;
    const sql = postgres(
      options(() => {
        calls++;
        return stream;
      }),
    ) as unknown as Instance;
    await tick();
    expect(calls).toBe(0);
    void send(sql, '');
    await untilWritten(stream);
    expect(calls).toBe(1);
    expect(stream.written).toHaveLength(1);
    const startup = stream.written[0]!.toString('latin1');
    expect(stream.written[0]!.readInt32BE(4)).toBe(196_608);
    expect(startup).toContain('user\0the user\0');
    expect(startup).toContain('database\0the database\0');
    expect(startup).toContain('application_name\0the application\0');
    stream.emit('close', false);
  });

  it('accepts AuthenticationOk after any request, and sends no answer to it', async () => {
    const stream = new ScriptedStream();
    const sql = postgres(options(() => stream)) as unknown as Instance;
    const first = send(sql, '');
    await untilWritten(stream);
    stream.answer(AUTHENTICATED);
    for (let i = 0; i < 10; i++) await tick();
    expect(stream.written).toHaveLength(1);
    stream.answer(READY);
    await untilWritten(stream, 2);
    expect(stream.written[1]).toEqual(message('Q', '\0'));
    stream.answer(EMPTY, READY);
    expect(await first).toBe('resolved');
    stream.emit('close', false);
  });

  it('ends when the empty query is answered', async () => {
    const { stream, calls } = await signedIn();
    expect(calls()).toBe(1);
    expect(stream.written.at(-1)).toEqual(message('Q', '\0'));
    stream.emit('close', false);
  });
});

describe('a simple query', () => {
  it('is one Query message with the text as it is', async () => {
    const { sql, stream } = await signedIn();
    stream.written.length = 0;
    const done = send(sql, "SELECT '%', $1, 'é'; SELECT 2");
    await vi.waitFor(() => {
      expect(Buffer.concat(stream.written)).toEqual(
        message('Q', Buffer.from("SELECT '%', $1, 'é'; SELECT 2\0").toString('latin1')),
      );
    });
    stream.answer(COMPLETE, READY);
    expect(await done).toBe('resolved');
    stream.emit('close', false);
  });

  it('goes to the socket behind those given before, without waiting for their answers', async () => {
    const { sql, stream } = await signedIn();
    stream.written.length = 0;
    const settled: number[] = [];
    const all = ['one', 'two', 'three'].map((text, i) =>
      send(sql, text).then((result) => {
        settled.push(i);
        return result;
      }),
    );
    const expected = Buffer.concat(['one', 'two', 'three'].map((text) => message('Q', `${text}\0`)));
    await vi.waitFor(() => {
      expect(Buffer.concat(stream.written)).toEqual(expected);
    });
    for (let i = 0; i < 3; i++) stream.answer(COMPLETE, READY);
    expect(await Promise.all(all)).toEqual(['resolved', 'resolved', 'resolved']);
    expect(settled).toEqual([0, 1, 2]);
    stream.emit('close', false);
  });

  it('needs no RowDescription, and no rows, to complete', async () => {
    const { sql, stream } = await signedIn();
    const done = send(sql, 'SELECT 1');
    await tick();
    stream.answer(Buffer.concat([COMPLETE, COMPLETE, READY]));
    expect(await done).toBe('resolved');
    stream.emit('close', false);
  });

  it('that fails rejects, and the next one succeeds', async () => {
    const { sql, stream, calls } = await signedIn();
    const failed = send(sql, 'nonsense');
    const behind = send(sql, 'SELECT 1');
    await tick();
    stream.answer(FAILED, READY);
    expect(await failed).toMatchObject({ code: 'XX000' });
    stream.answer(COMPLETE, READY);
    expect(await behind).toBe('resolved');
    expect(calls()).toBe(1);
    stream.emit('close', false);
  });
});

describe('a stream that closes', () => {
  it('rejects the queries in flight', async () => {
    const { sql, stream } = await signedIn();
    const inFlight = [send(sql, 'one'), send(sql, 'two')];
    await tick();
    stream.emit('close', false);
    for (const failed of inFlight) expect(await failed).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('leaves no timer', async () => {
    const { stream } = await signedIn();
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    stream.emit('close', false);
    await tick();
    expect(timers()).toBeLessThanOrEqual(before);
  });

  it('is not followed by another, unless there is another query', async () => {
    const { stream, calls } = await signedIn();
    stream.emit('close', false);
    for (let i = 0; i < 10; i++) await tick();
    expect(calls()).toBe(1);
  });
});
