import fc from 'fast-check';
import type { AsyncConnection } from '../../src/index.js';

/** The number of parameters in one statement. */
const CHUNK = 2500;

/** Random values, and the seed that reproduces them. */
export function sample<T>(arbitrary: fc.Arbitrary<T>, count: number): { values: T[]; seed: number } {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  return { values: fc.sample(arbitrary, { numRuns: count, seed }), seed };
}

/** The results of `work` for the values, a few thousand at a time. */
export async function inChunks<T, U>(
  values: readonly T[],
  work: (chunk: readonly T[], from: number) => Promise<readonly U[]>,
): Promise<U[]> {
  const results: U[] = [];
  for (let from = 0; from < values.length; from += CHUNK) {
    for (const result of await work(values.slice(from, from + CHUNK), from)) results.push(result);
  }
  return results;
}

/** Loads texts as values of a type. */
export async function loadTexts(
  connection: AsyncConnection,
  type: string,
  texts: readonly (string | null)[],
): Promise<unknown[]> {
  return inChunks(texts, async (chunk) => {
    const cur = await connection.execute(
      `SELECT t::${type} FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n`,
      [chunk],
    );
    return (await cur.fetchall()).map(([value]) => value as unknown);
  });
}

export interface JudgeOptions {
  /** Converts a loaded value to the value that is sent. */
  send?: (value: unknown) => unknown;
  /** An SQL expression for the expected value, of the text `%t` that was loaded. @default the value of the text */
  expected?: string | undefined;
  /** The expected texts, if they differ from the loaded texts. */
  plain?: readonly (string | null)[];
}

/** Loads texts as values of a type and sends these back; returns those that the server does not consider equal. */
export async function differences(
  connection: AsyncConnection,
  type: string,
  texts: readonly (string | null)[],
  { send = (value) => value, expected = `%t::${type}`, plain = texts }: JudgeOptions = {},
): Promise<unknown[]> {
  const loaded = await loadTexts(connection, type, texts);
  const verdicts = await inChunks(loaded, async (chunk, from) => {
    const list = chunk.map((_, i) => `(${String(i + 1)}, %s::${type})`).join();
    const cur = await connection.execute(
      `SELECT v::text COLLATE "C" IS NOT DISTINCT FROM (${expected.replace('%t', 't')})::text
       FROM (VALUES ${list}) AS sent (n, v) JOIN unnest(%s::text[]) WITH ORDINALITY AS given (t, n) USING (n) ORDER BY n`,
      [...chunk.map(send), plain.slice(from, from + chunk.length)],
    );
    return (await cur.fetchall()).map(([same]) => same as boolean);
  });
  if (verdicts.length !== texts.length)
    throw new Error(`the server judged ${String(verdicts.length)} values`);
  return texts.flatMap((sent, i) => (verdicts[i] === true ? [] : [{ sent, loaded: loaded[i] }]));
}
