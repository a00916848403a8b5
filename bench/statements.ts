import { Clients, slonikSql } from './clients.js';
import { Floor } from './floor.js';
import { raceInTurns } from './one-processor.js';
import { OURS, race, type Contender, type Race } from './race.js';
import type { Finding, Setting } from './setting.js';

const ONE_BY_ONE = 1000;
const AT_ONCE = 4000;
const TEXT = 'SELECT $1::int4';
const ANSWER = 7;
const BARE = `SELECT ${String(ANSWER)}::int4`;

/** Many small statements on one connection: each awaited, and all sent at once. */
export async function statements({ dsn, python }: Setting): Promise<Finding[]> {
  await using clients = await Clients.connect(dsn);
  const { ours, postgres, pg, pgPipelining, pgPromise, slonik } = clients;
  using floor = await Floor.connect(dsn);
  await floor.prepare(TEXT);
  const bound = Array.from({ length: AT_ONCE }, (_, i) => Floor.executions([[String(i)]]));

  const unbound = Array.from({ length: ONE_BY_ONE }, (_, i) => Floor.statement(TEXT, [String(i)]));

  const byUs =
    (prepare: boolean) =>
    async (i: number): Promise<unknown> =>
      (await (await ours.execute('SELECT %s::int4', [i], { prepare })).fetchone())?.[0];
  const byPostgres = async (i: number): Promise<unknown> =>
    (await postgres`SELECT ${i}::int4`.values())[0]?.[0];
  const byPg = async (i: number): Promise<unknown> =>
    (await pg.query<number[]>({ name: 'bench', text: TEXT, values: [i], rowMode: 'array' })).rows[0]?.[0];

  const atOnce = await race(
    `${String(AT_ONCE)} statements at once, one connection`,
    [
      { name: OURS, run: allAtOnce(byUs(true)) },
      { name: 'postgres', run: allAtOnce(byPostgres) },
      { name: 'pg', run: allAtOnce(byPg) },
      {
        name: 'pg, pipelining',
        run: allAtOnce(
          async (i) =>
            (await pgPipelining.query<number[]>({ name: 'bench', text: TEXT, values: [i], rowMode: 'array' }))
              .rows[0]?.[0],
        ),
      },
      ...(python?.contenders('at_once', AT_ONCE, ['psycopg']) ?? []),
      Floor.contender(() => floor.ask(Buffer.concat(bound), AT_ONCE)),
    ],
    {
      operations: AT_ONCE,
      goals: [
        { peers: ['pg'], ratio: 5 },
        { peers: ['postgres'], ratio: 1 },
      ],
    },
  );
  await ours.setAutocommit(false);
  const inTransaction = await race(
    `${String(AT_ONCE)} statements at once, one transaction`,
    [
      {
        name: OURS,
        run: async () => {
          await allAtOnce(byUs(true))();
          await ours.commit();
        },
      },
      {
        name: 'postgres',
        run: () =>
          postgres.begin((tx) => allAtOnce(async (i) => (await tx`SELECT ${i}::int4`.values())[0]?.[0])()),
      },
      {
        name: 'pg',
        run: async () => {
          await pg.query('BEGIN');
          await allAtOnce(byPg)();
          await pg.query('COMMIT');
        },
      },
    ],
    { operations: AT_ONCE },
  );
  await ours.setAutocommit(true);
  const prepared = await raceInTurns(
    { dsn, python },
    `${String(ONE_BY_ONE)} statements one by one, prepared`,
    [
      { name: OURS, run: oneByOne(byUs(true)) },
      { name: 'postgres', run: oneByOne(byPostgres) },
      { name: 'pg', run: oneByOne(byPg) },
      ...(python?.contenders('prepared', ONE_BY_ONE) ?? []),
      Floor.contender(async () => {
        for (let i = 0; i < ONE_BY_ONE; i++) await floor.ask(bound[i]!);
      }),
    ],
    {
      operations: ONE_BY_ONE,
      goals: [
        { peers: ['pg'], ratio: 1.25 },
        { peers: ['postgres'], ratio: 1.5 },
      ],
    },
  );
  const unprepared = await raceInTurns(
    { dsn, python },
    `${String(ONE_BY_ONE)} statements one by one, not prepared`,
    [
      { name: OURS, run: oneByOne(byUs(false)) },
      {
        name: 'postgres',
        run: oneByOne(async (i) => (await postgres.unsafe(TEXT, [i], { prepare: false }).values())[0]?.[0]),
      },
      {
        name: 'pg',
        run: oneByOne(
          async (i) => (await pg.query<number[]>({ text: TEXT, values: [i], rowMode: 'array' })).rows[0]?.[0],
        ),
      },
      {
        name: 'pg-promise',
        run: oneByOne(async (i) => (await pgPromise.one<{ int4: number }>(TEXT, [i])).int4),
      },
      {
        name: 'slonik',
        run: oneByOne(async (i) => slonik.oneFirst(slonikSql.unsafe`SELECT ${i}::int4`)),
      },
      ...(python?.contenders('unprepared', ONE_BY_ONE, ['psycopg']) ?? []),
      Floor.contender(async () => {
        for (const messages of unbound) await floor.ask(messages);
      }),
    ],
    { operations: ONE_BY_ONE, goals: [{ peers: ['pg'], ratio: 1.25 }] },
  );
  return [
    prepared,
    unprepared,
    atOnce,
    inTransaction,
    ...(await withoutParameters(clients, floor, { dsn, python })),
  ];
}

/** Statements without parameters, which a client may send differently. */
async function withoutParameters(
  { ours, postgres, pg }: Clients,
  floor: Floor,
  setting: Pick<Setting, 'dsn' | 'python'>,
): Promise<Race[]> {
  const bare: Record<string, () => Promise<unknown>> = {
    [OURS]: async () => (await (await ours.execute(BARE)).fetchone())?.[0],
    postgres: async () => (await postgres`SELECT 7::int4`.values())[0]?.[0],
    pg: async () => (await pg.query<number[]>({ text: BARE, rowMode: 'array' })).rows[0]?.[0],
    // The reference: a parameter makes no statement faster.
    [`${OURS}, with one`]: async () =>
      (await (await ours.execute('SELECT %s::int4', [ANSWER])).fetchone())?.[0],
  };
  const contenders = (repeat: (once: () => Promise<unknown>) => Promise<void>): Contender[] =>
    Object.entries(bare).map(([name, once]) => ({ name, run: () => repeat(once) }));
  const expectAnswer = (answer: unknown): void => {
    if (answer !== ANSWER) throw wrongAnswer(0);
  };
  const goals = [
    { peers: ['pg'], ratio: 1.25 },
    { peers: ['postgres'], ratio: 1.25 },
    { peers: [`${OURS}, with one`], ratio: 1 },
  ];
  return [
    await raceInTurns(
      setting,
      `${String(ONE_BY_ONE)} statements without parameters, one by one`,
      [
        ...contenders(async (once) => {
          for (let i = 0; i < ONE_BY_ONE; i++) expectAnswer(await once());
        }),
        Floor.contender(async () => {
          for (let i = 0; i < ONE_BY_ONE; i++) await floor.query(BARE);
        }),
      ],
      { operations: ONE_BY_ONE, goals },
    ),
    await race(
      `${String(AT_ONCE)} statements without parameters, at once`,
      contenders(async (once) => {
        (await Promise.all(Array.from({ length: AT_ONCE }, once))).forEach(expectAnswer);
      }),
      { operations: AT_ONCE, goals },
    ),
  ];
}

function oneByOne(statement: (i: number) => Promise<unknown>): () => Promise<void> {
  return async () => {
    for (let i = 0; i < ONE_BY_ONE; i++) if (Number(await statement(i)) !== i) throw wrongAnswer(i);
  };
}

/** Sends all statements at once, and checks that each gets its own answer. */
function allAtOnce(statement: (i: number) => Promise<unknown>): () => Promise<void> {
  return async () => {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => statement(i)));
    const wrong = answers.findIndex((answer, i) => Number(answer) !== i);
    if (wrong >= 0) throw wrongAnswer(wrong);
  };
}

function wrongAnswer(i: number): Error {
  return new Error(`statement ${String(i)} got another's answer`);
}
