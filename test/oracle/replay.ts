import { expect } from 'vitest';
import * as usingpg from '../../src/index.js';
import { Arguments } from './arguments.js';
import { Boom, compareError, compareValue, type RoundTrip } from './outcome.js';
import { call, camelCase, make, member, Missing, type Scenario, type State, type Step } from './scenario.js';

/** The properties of the server that a replay needs. */
export interface Environment {
  readonly dsn: string;
  /** Whether the server has the version of the recording, so that its texts are the same. */
  readonly sameVersion: boolean;
  readonly roundTrip: RoundTrip;
  /** Calls whose steps are skipped. */
  readonly leftOut: ReadonlySet<string>;
}

/** The positions of options among a method's arguments; by default they come last. */
const OPTIONS_AT: Readonly<Record<string, number>> = { execute: 2, executemany: 2, stream: 2 };
/** The class and the registration function of each kind of `register`. */
const REGISTRATIONS: Readonly<Record<string, readonly [info: string, register: string]>> = {
  composite: ['CompositeInfo', 'registerComposite'],
  enum: ['EnumInfo', 'registerEnum'],
  hstore: ['TypeInfo', 'registerHstore'],
};
const BLOCK_METHODS = {
  transaction: 'withTransaction',
  pipeline: 'withPipeline',
  connection: 'withConnection',
} as const;
/** Calls that set the state of a cursor or a connection independently of skipped steps. */
const SETTLING: ReadonlySet<string> = new Set(['execute', 'executemany', 'commit', 'rollback', 'close']);

type Outcome = { readonly ok: unknown } | { readonly error: unknown };

/** Replays one scenario through the public API and compares every outcome and state. */
export async function replay(scenario: Scenario, environment: Environment): Promise<void> {
  const replayer = new Replayer(scenario, environment);
  try {
    await replayer.start();
    await replayer.run(scenario.steps, scenario.id, false);
  } finally {
    await replayer.end();
  }
}

class Replayer {
  readonly #scenario: Scenario;
  readonly #environment: Environment;
  readonly #objects = new Map<string, unknown>([['lib', usingpg]]);
  readonly #arguments = new Arguments(this.#objects);
  readonly #toClose: unknown[] = [];
  /** Whether a step was skipped, so that the state differs from the recorded one. */
  #stale = false;

  constructor(scenario: Scenario, environment: Environment) {
    this.#scenario = scenario;
    this.#environment = environment;
  }

  async start(): Promise<void> {
    if (this.#scenario.bare === true) return;
    const connection = await this.#connect({ autocommit: this.#scenario.autocommit ?? false });
    this.#objects.set('conn', connection);
    this.#objects.set('cur', connection.cursor());
  }

  async end(): Promise<void> {
    // Connections of a pool that the scenario has not returned are closed with the pool, at once.
    for (const object of this.#toClose.reverse()) {
      await call(object, 'close', ...(object instanceof usingpg.AsyncConnectionPool ? [0] : []));
    }
  }

  async run(steps: readonly Step[], where: string, inPipeline: boolean): Promise<void> {
    for (const [i, step] of steps.entries()) {
      const at = `${where}, step ${String(i + 1)} (${step.block ?? step.call ?? ''} ${JSON.stringify(step.args ?? [])})`;
      if (step.call !== undefined && this.#environment.leftOut.has(step.call)) {
        this.#stale = true;
        continue;
      }
      if (step.call !== undefined && SETTLING.has(step.call)) this.#stale = false;
      const outcome = await outcomeOf(() =>
        step.block === undefined ? this.#call(step) : this.#block(step, at),
      );
      if ('error' in outcome && (outcome.error instanceof Missing || isAssertion(outcome.error)))
        throw outcome.error;
      if (step.save !== undefined && 'ok' in outcome) this.#objects.set(step.save, outcome.ok);
      await this.#compareOutcome(outcome, step, at, inPipeline);
      if (!inPipeline && !this.#stale && step.state !== undefined) this.#compareState(step.state, step, at);
      if ('error' in outcome) {
        // An error of a block that has no recorded outcome of its own propagates through the outer blocks.
        if (step.block !== undefined && step.expect.error === undefined && !('ok' in step.expect))
          throw outcome.error;
        if (step.rethrow === 'Boom') throw new Boom();
        if (step.rethrow === 'Rollback') throw new usingpg.Rollback();
      }
    }
  }

  async #compareOutcome(outcome: Outcome, step: Step, at: string, inPipeline: boolean): Promise<void> {
    const { expect: expected } = step;
    // Within a pipeline, the moment at which an error surfaces depends on timing; fetched rows do not.
    if (inPipeline && !(step.call?.startsWith('fetch') === true && 'ok' in expected)) return;
    if (expected.error !== undefined) {
      if (!('error' in outcome)) expect.fail(`${at}: expected ${expected.error}, but it succeeded`);
      compareError(outcome.error, expected, this.#environment.sameVersion, at);
    } else if ('ok' in expected) {
      if ('error' in outcome)
        throw new Mismatch(`${at}: failed with ${String(outcome.error)}`, { cause: outcome.error });
      await compareValue(outcome.ok, expected.ok, this.#environment.roundTrip, at);
    }
  }

  #compareState(expected: State, step: Step, at: string): void {
    const target = this.#objects.get(step.on ?? 'conn');
    const cursor = target instanceof usingpg.AsyncCursor ? (target as usingpg.AsyncCursor<unknown>) : null;
    const owner = cursor?.connection ?? connectionOf(target) ?? this.#objects.get('conn');
    if (!(owner instanceof usingpg.AsyncConnection)) return;
    const actual: Record<string, unknown> = {
      status: owner.info.transactionStatus,
      conn_closed: owner.closed,
    };
    if (cursor !== null) {
      for (const name of ['rowcount', 'rownumber', 'statusmessage', 'closed'] as const)
        actual[name] = cursor[name];
    }
    const { description, ...plain } = expected;
    const seen = Object.fromEntries(Object.keys(plain).map((name) => [name, actual[name]]));
    expect(seen, `${at}: state`).toStrictEqual(plain);
    if (description !== undefined && cursor !== null) this.#compareDescription(cursor, description, at);
  }

  #compareDescription(
    cursor: usingpg.AsyncCursor<unknown>,
    expected: NonNullable<State['description']> | null,
    at: string,
  ): void {
    const actual =
      cursor.description?.map((column, i) => {
        const known = expected?.[i]?.[1] ?? 0;
        // Oids from 16384 on are specific to the database.
        const typeCode = known >= 16384 && column.typeCode >= 16384 ? known : column.typeCode;
        const { name, displaySize, internalSize, precision, scale } = column;
        return [name, typeCode, displaySize, internalSize, precision, scale];
      }) ?? null;
    const width = this.#environment.sameVersion ? 6 : 2;
    const cut = (columns: readonly (readonly unknown[])[] | null): unknown =>
      columns?.map((column) => column.slice(0, width)) ?? null;
    expect(cut(actual), `${at}: description`).toStrictEqual(cut(expected));
  }

  async #block(step: Step, at: string): Promise<null> {
    const on = this.#objects.get(step.on ?? 'conn');
    const body = async (given: unknown): Promise<void> => {
      this.#objects.set(step.as ?? 'tx', given);
      await this.run(step.steps ?? [], at, step.block === 'pipeline');
      if (step.raise === 'Rollback') throw new usingpg.Rollback();
      if (step.raise === 'Rollback outer') {
        throw new usingpg.Rollback(this.#objects.get(step.to ?? '') as usingpg.AsyncTransaction);
      }
      if (step.raise === 'Boom') throw new Boom();
    };
    const method = BLOCK_METHODS[step.block!];
    await call(on, method, body, ...this.#options(step));
    return null;
  }

  async #call(step: Step): Promise<unknown> {
    const on = this.#objects.get(step.on ?? 'conn');
    const args = (this.#arguments.decode(step.args ?? []) as unknown[]).slice();
    const [first, second] = args;
    switch (step.call!) {
      case 'get':
        return presentable(Reflect.get(on as object, camelCase(first as string)));
      case 'info':
        return presentable(Reflect.get(member(on, 'info') as object, camelCase(first as string)));
      case 'set':
        Reflect.set(on as object, camelCase(first as string), second);
        return null;
      case 'iterate':
        return collect(on as AsyncIterable<unknown>);
      case 'stream':
        return collect(this.#method(on, step, args) as AsyncIterable<unknown>);
      case 'connect':
        return this.#connect(this.#options(step)[0] ?? {});
      case 'cursor': {
        const options = {
          ...(this.#options(step)[0] as object | undefined),
          ...(args.length > 0 ? { name: first } : {}),
        };
        return call(on, 'cursor', options);
      }
      case 'client_cursor':
        return make(usingpg, 'AsyncClientCursor', on);
      case 'conninfo_to_dict':
        return strings(usingpg.conninfoToDict((first ?? '') as string, this.#libpqOptions(step)));
      case 'make_conninfo':
        return strings(
          usingpg.conninfoToDict(usingpg.makeConninfo((first ?? '') as string, this.#libpqOptions(step))),
        );
      case 'as_string':
        return call(first, 'asString', this.#objects.get('conn'));
      case 'quote':
        return call(member(usingpg, 'sql'), 'quote', first, this.#objects.get('conn'));
      case 'prepared':
        return this.#prepared(on as usingpg.AsyncConnection);
      case 'copy_in':
        return this.#copyIn(on, step, args);
      case 'copy_out':
        return this.#copyOut(on, step, args);
      case 'register':
        return this.#register(on, first as string, second as string);
      case 'notifies':
        return this.#notifies(on, first as number);
      case 'pool':
        return this.#pool(step, first as string);
      case 'getconn': {
        // A pool's short timeout is for the request that is to wait in vain; connecting may take longer.
        const patience = 'ok' in step.expect && args.length === 0 ? [{ timeout: 30 }] : [];
        return presentable(await this.#method(on, step, [...args, ...patience]));
      }
      case 'stats': {
        const stats = call(on, 'getStats') as Readonly<Record<string, number>>;
        return Object.fromEntries((args as string[]).map((name) => [name, stats[camelCase(name)] ?? 0]));
      }
      default:
        return presentable(await this.#method(on, step, args));
    }
  }

  #method(on: unknown, step: Step, args: unknown[]): unknown {
    const options = this.#options(step);
    const at = OPTIONS_AT[step.call!];
    if (options.length > 0 && at !== undefined) while (args.length < at) args.push(undefined);
    return call(on, camelCase(step.call!), ...args, ...options);
  }

  /** The keyword arguments as a trailing options object, if there are any. */
  #options(step: Step): Record<string, unknown>[] {
    if (step.kw === undefined) return [];
    const options = this.#arguments.decode(step.kw) as Record<string, unknown>;
    return [Object.fromEntries(Object.entries(options).map(([name, value]) => [camelCase(name), value]))];
  }

  #libpqOptions(step: Step): usingpg.ConninfoParams {
    return this.#arguments.decode(step.kw ?? {}) ?? {};
  }

  async #connect(options: usingpg.ConnectOptions): Promise<usingpg.AsyncConnection> {
    const connection = await usingpg.AsyncConnection.connect(this.#environment.dsn, options);
    this.#toClose.push(connection);
    return connection;
  }

  async #prepared(connection: usingpg.AsyncConnection): Promise<string[][]> {
    const query = 'select statement from pg_prepared_statements';
    const cursor = connection.cursor({ rowFactory: usingpg.scalarRow<string> });
    await cursor.execute(query);
    const texts = (await cursor.fetchall()).map((text) => text.trimEnd());
    return texts
      .filter((text) => text !== query)
      .sort()
      .map((text) => [text]);
  }

  async #copyIn(on: unknown, step: Step, [statement, params]: unknown[]): Promise<unknown> {
    const body = async (copy: unknown): Promise<void> => {
      if (step.types !== undefined) call(copy, 'setTypes', step.types);
      for (const row of step.rows ?? []) await call(copy, 'writeRow', this.#arguments.decode(row));
      for (const block of step.blocks ?? []) await call(copy, 'write', this.#arguments.decode(block));
      if (step.raise !== undefined) throw new Boom();
    };
    await call(on, 'withCopy', statement, body, ...(params === undefined ? [] : [params]));
    return member(on, 'rowcount');
  }

  async #copyOut(on: unknown, step: Step, [statement, params]: unknown[]): Promise<unknown> {
    let read: unknown = null;
    const body = async (copy: unknown): Promise<void> => {
      if (step.types !== undefined) call(copy, 'setTypes', step.types);
      read =
        step.as === 'rows'
          ? await collect(call(copy, 'rows') as AsyncIterable<unknown>)
          : Buffer.concat((await collect(copy as AsyncIterable<unknown>)) as Buffer[]);
    };
    await call(on, 'withCopy', statement, body, ...(params === undefined ? [] : [params]));
    return read;
  }

  async #register(on: unknown, kind: string, name: string): Promise<null> {
    const [info, register] = REGISTRATIONS[kind]!;
    call(usingpg, register, await call(member(usingpg, info), 'fetch', on, name), on);
    return null;
  }

  async #notifies(on: unknown, count: number): Promise<unknown[]> {
    const seen: unknown[] = [];
    for await (const notify of call(on, 'notifies') as AsyncIterable<unknown>) {
      seen.push(notify);
      if (seen.length === count) break;
    }
    return seen;
  }

  async #pool(step: Step, name: string): Promise<unknown> {
    const options = { open: false, ...this.#options(step)[0] };
    const pool = make(usingpg, name, this.#environment.dsn, options);
    this.#toClose.push(pool);
    await call(pool, 'open', { wait: step.wait ?? true });
    return pool;
  }
}

/** The connection of an object that is no cursor, if it has one. */
function connectionOf(object: unknown): unknown {
  if (object instanceof usingpg.AsyncConnection) return object;
  return object instanceof usingpg.AsyncTransaction ? object.connection : undefined;
}

/** A call without a result is recorded as null. */
function presentable(value: unknown): unknown {
  return value === undefined ? null : value;
}

function strings(dict: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(dict).map(([name, value]) => [name, String(value)]));
}

async function collect(rows: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

async function outcomeOf(act: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: await act() };
  } catch (error) {
    return { error };
  }
}

/** A failed comparison within a block has left the block like any other error. */
function isAssertion(error: unknown): boolean {
  return error instanceof Mismatch || (error instanceof Error && error.name === 'AssertionError');
}

class Mismatch extends Error {}
