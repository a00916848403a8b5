import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { expect, onTestFinished, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { migrate } from '../../../src/integrations/drizzle/index.js';
import { rejection } from '../../support/database.js';
import { openDrizzle, schemaName } from './open-drizzle.js';

/** A folder as drizzle-kit writes it. */
async function migrations(...statements: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'usingpg-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'meta'));
  const entries = statements.map((_, idx) => ({
    idx,
    version: '7',
    when: 1_700_000_000_000 + idx,
    tag: `000${String(idx)}`,
    breakpoints: true,
  }));
  await writeFile(
    join(folder, 'meta/_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  );
  for (const [idx, statement] of statements.entries())
    await writeFile(join(folder, `000${String(idx)}.sql`), statement);
  return folder;
}

test('migrations are applied once, in their order, and none if one fails', async () => {
  const { db } = await openDrizzle();
  const migrationsSchema = schemaName();
  const first = 'CREATE TABLE moved (id int);\n--> statement-breakpoint\nINSERT INTO moved VALUES (1);';
  const config = { migrationsFolder: await migrations(first), migrationsSchema };
  await migrate(db, config);
  await migrate(db, config);
  const broken = await migrations(first, 'INSERT INTO moved VALUES (2);', 'INSERT INTO nowhere VALUES (3);');
  const error = await rejection(migrate(db, { migrationsFolder: broken, migrationsSchema }));
  expect(error.cause).toBeInstanceOf(errors.UndefinedTable);
  expect((await db.execute(sql`SELECT id FROM moved`)).rows).toEqual([{ id: 1 }]);
  const second = {
    migrationsFolder: await migrations(first, 'INSERT INTO moved VALUES (2);'),
    migrationsSchema,
  };
  await migrate(db, second);
  expect((await db.execute(sql`SELECT id FROM moved ORDER BY id`)).rows).toEqual([{ id: 1 }, { id: 2 }]);
});
