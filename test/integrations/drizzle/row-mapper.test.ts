import { sql } from 'drizzle-orm';
import type { PgColumn, SelectedFieldsOrdered } from 'drizzle-orm/pg-core';
import * as utils from 'drizzle-orm/utils';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rowMapper } from '../../../src/integrations/drizzle/row-mapper.js';
import { city, country, value } from './open-drizzle.js';

/** Drizzle's own, which is not in its declarations. */
const { mapResultRow } = utils as unknown as {
  mapResultRow: (fields: SelectedFieldsOrdered, row: unknown[], joins: object | undefined) => unknown;
};

const columns: readonly PgColumn[] = [city, country, value].flatMap((table) =>
  Object.values(table).filter(
    (column): column is PgColumn => typeof column === 'object' && 'mapFromDriverValue' in column,
  ),
);
const names = ['a', 'b', 'c'];
const path = fc.oneof(
  fc.tuple(fc.constantFrom('x', 'y', 'z')),
  fc.tuple(fc.constantFrom(...names), fc.constantFrom('id', 'name', 'more')),
  fc.tuple(fc.constant('deep'), fc.constantFrom(...names), fc.constantFrom('id', 'name')),
);
const choices = [
  ...columns,
  sql`1`,
  sql`1`.mapWith(Number),
  sql<number>`1`.mapWith((text) => `<${text}>`).as('n'),
];
// By their numbers, which can be printed.
const field = fc.nat({ max: choices.length - 1 });
const text = fc.constantFrom(null, '1', '2024-02-29 00:00:00', '{1,2}');

/** What a function returns; a column's conversion throws for a value that is none of it. */
function outcome(act: () => unknown): unknown {
  try {
    return { returns: act() };
  } catch (error) {
    return { throws: String(error) };
  }
}

test("rows are what Drizzle's own function makes of them, whatever fields, joins and values there are", () => {
  expect(columns.length).toBeGreaterThan(15);
  const cases = fc.record({
    fields: fc.uniqueArray(fc.tuple(path, field), { selector: ([keys]) => keys.join('.'), minLength: 1 }),
    values: fc.array(fc.array(text, { minLength: 30, maxLength: 30 }), { minLength: 1, maxLength: 4 }),
    joins: fc.option(
      fc.dictionary(fc.constantFrom('drizzle_city', 'drizzle_country', 'drizzle_value'), fc.boolean()),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(cases, ({ fields, values, joins }) => {
      const ordered = fields.map(([keys, each]) => ({
        path: keys,
        field: choices[each],
      })) as SelectedFieldsOrdered;
      const map = rowMapper(ordered, joins);
      for (const row of values) {
        expect(outcome(() => map(row))).toEqual(outcome(() => mapResultRow(ordered, [...row], joins)));
      }
    }),
    { numRuns: 2000 },
  );
});
