import { readMigrationFiles, type MigrationConfig } from 'drizzle-orm/migrator';
import type { PgDialect, PgSession } from 'drizzle-orm/pg-core';
import type { UsingpgDatabase } from './database.js';

/**
 * Applies the migrations of a folder that drizzle-kit has generated and that the database has not had yet, in one transaction.
 * Raises the error of the first statement that fails; then none is applied.
 *
 * @example
 * import { drizzle, migrate } from 'usingpg/drizzle';
 * await migrate(drizzle(pool), { migrationsFolder: './drizzle' });
 */
export async function migrate<TSchema extends Record<string, unknown>>(
  db: UsingpgDatabase<TSchema>,
  config: MigrationConfig,
): Promise<void> {
  // They are not in Drizzle's declarations.
  const { dialect, session } = db as unknown as { readonly dialect: PgDialect; readonly session: PgSession };
  await dialect.migrate(readMigrationFiles(config), session, config);
}
