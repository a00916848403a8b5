import { ADVICE } from '../../src/errors/advice.js';
import { errors } from '../../src/errors/namespace.js';
import { SQLSTATES } from '../../src/errors/sqlstate.js';

const ADVISED = '[what to do](../errors.md#what-the-server-says-and-what-to-do)';

/** Every class that there is for an SQLSTATE, with the class above it, and where its common mistakes are explained. */
export function conditionsPage(): string {
  const rows = Object.entries(SQLSTATES)
    .map(([name, sqlstate]) => {
      const above = Object.getPrototypeOf(Reflect.get(errors, name)) as { readonly name: string };
      const advised = ADVICE.some((advice) => advice.sqlstate === sqlstate);
      return [sqlstate, `\`${name}\``, `\`${above.name}\``, advised ? ADVISED : ''] as const;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `# Errors by SQLSTATE

Each SQLSTATE of PostgreSQL has a class of the name that Psycopg has for it, in \`errors\`: \`error instanceof errors.UniqueViolation\`. An SQLSTATE that is not
listed raises the class of its first two characters. [The guide to errors](../guides/errors.md) says what to do about those that a running service meets,
and [reading an error](../errors.md) about common mistakes in queries.

| SQLSTATE | class | is a | |
| --- | --- | --- | --- |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
}
