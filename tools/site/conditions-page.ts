import { ADVICE } from '../../src/errors/advice.js';
import { errors } from '../../src/errors/namespace.js';
import { SQLSTATES } from '../../src/errors/sqlstate.js';

/** Every class that there is for an SQLSTATE, with the class above it, and what the library advises. */
export function conditionsPage(): string {
  const rows = Object.entries(SQLSTATES)
    .map(([name, sqlstate]) => {
      const above = Object.getPrototypeOf(Reflect.get(errors, name)) as { readonly name: string };
      const advice = ADVICE.filter((each) => each.sqlstate === sqlstate).map((each) => each.advice);
      return [sqlstate, `\`${name}\``, `\`${above.name}\``, [...new Set(advice)].join('; ')] as const;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `# Errors by SQLSTATE

Each SQLSTATE of PostgreSQL has a class of the name that Psycopg has for it, in \`errors\`: \`error instanceof errors.UniqueViolation\`. An SQLSTATE that is not
listed raises the class of its first two characters. What is said under "advice" stands at the end of the message if the error looks like that mistake.
[The guide to errors](../guides/errors.md) says what to do about those that a running service meets.

| SQLSTATE | class | is a | advice |
| --- | --- | --- | --- |
${rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}
`;
}
