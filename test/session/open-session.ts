import { onTestFinished } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { dumpParam } from '../../src/types/dump.js';
import { resolveConninfo } from '../../src/conninfo/resolve.js';
import { rowDecoders } from '../../src/types/decoders.js';
import { tupleRow } from '../../src/rows.js';
import { Session } from '../../src/session/session.js';
import type { StatementRequest, StatementResult } from '../../src/session/statement.js';
import { dsn } from '../support/database.js';

export type Address = { -readonly [Name in keyof Session['address']]: Session['address'][Name] };

/** A session with the run's server, closed when the test ends, and the address for its cancel requests. */
export async function openSession(): Promise<{ session: Session; address: Address }> {
  const resolved = await resolveConninfo(dsn());
  const { host, hostaddr, port, path, password } = resolved.hosts[0]!;
  const address: Address = { host, hostaddr, port, path, keepalives: resolved.keepalives, encryption: null };
  const session = await Session.open(
    address,
    {
      user: resolved.user,
      database: resolved.dbname,
      password: password as string | null,
      authentication: resolved.authentication,
      parameters: resolved.startupParameters,
    },
    new AbortController().signal,
  );
  onTestFinished(() => session.close());
  return { session, address };
}

/** A statement in autocommit with `$1` … for `params`; without them it uses the simple protocol. */
export function statement(
  text: string,
  params: readonly unknown[] | null = null,
  more: Partial<StatementRequest> = {},
): StatementRequest {
  return {
    text,
    executions:
      params === null ? null : [params.map((value, i) => dumpParam(value, adapters, `$${String(i + 1)}`))],
    begin: null,
    rows: rowDecoders(adapters, tupleRow),
    policy: { threshold: 5, max: 100 },
    ...more,
  };
}

export function value(results: readonly StatementResult[]): unknown {
  return (results.at(-1)?.rows[0] as unknown[] | undefined)?.[0];
}
