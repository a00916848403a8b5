import type { TargetSessionAttrs } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';
import { TupleDecoder } from '../wire/row-decoder.js';
import { describeAddress } from '../wire/socket.js';

/** The kinds of sessions; 'prefer-standby' is a search for a standby, then for any. */
export type Target = Exclude<TargetSessionAttrs, 'prefer-standby'>;

/**
 * Returns why a new session is not of the kind `target`, or null. Asks the server, since the state that is reported at startup
 * may not be its own: PgBouncer repeats what its server reported to it, also after that server's promotion.
 */
export async function targetProblem(
  session: Session,
  target: Target,
  signal: AbortSignal,
): Promise<errors.OperationalError | null> {
  if (target === 'any') return null;
  const problem =
    target === 'read-write' || target === 'read-only'
      ? readOnlyProblem(target, await isReadOnly(session, signal))
      : standbyProblem(target, await isStandby(session, signal));
  if (problem === null) return null;
  return new errors.OperationalError(
    `the server at ${describeAddress(session.address)} will not do: ${problem}, but target_session_attrs=${target}`,
  );
}

function readOnlyProblem(target: 'read-write' | 'read-only', readOnly: boolean): string | null {
  if (readOnly === (target === 'read-only')) return null;
  return readOnly ? 'its sessions are read-only' : 'its sessions are not read-only';
}

function standbyProblem(target: 'primary' | 'standby', standby: boolean): string | null {
  if (standby === (target === 'standby')) return null;
  return standby ? 'it is a standby' : 'it is not a standby';
}

async function isReadOnly(session: Session, signal: AbortSignal): Promise<boolean> {
  return (await ask(session, 'SHOW transaction_read_only', signal)) === 'on';
}

async function isStandby(session: Session, signal: AbortSignal): Promise<boolean> {
  return (await ask(session, 'SELECT pg_catalog.pg_is_in_recovery()', signal)) === 't';
}

/** Returns the text of a query's single value. */
async function ask(session: Session, text: string, signal: AbortSignal): Promise<string | undefined> {
  const [result] = await session.submit({
    text,
    executions: null,
    begin: null,
    rows: { decoderFor: (fields) => new TupleDecoder(fields.map(() => readText)) },
    policy: { threshold: null, max: null },
    signal,
  });
  return (result?.rows[0] as readonly string[] | undefined)?.[0];
}

function readText(bytes: Buffer, start: number, end: number): string {
  return bytes.utf8Slice(start, end);
}
