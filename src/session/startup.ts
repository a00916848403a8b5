import * as errors from '../errors/index.js';
import { Auth } from '../wire/protocol.js';

/** How long connecting may take, in seconds, where neither the caller nor `connect_timeout` says. Psycopg's own limit. */
export const DEFAULT_CONNECT_TIMEOUT = 130;

const NEEDS_PASSWORD: ReadonlySet<number> = new Set([Auth.CleartextPassword, Auth.Md5Password, Auth.Sasl]);
const KNOWN: ReadonlySet<number> = new Set(Object.values(Auth));

/** What is wrong with an authentication request that can't be met, or null. */
export function authenticationProblem(request: number, hasPassword: boolean): errors.DatabaseError | null {
  if (!KNOWN.has(request)) {
    return new errors.NotSupportedError(
      `the server asks for authentication method ${String(request)} (GSSAPI, SSPI or another), which is not supported;` +
        ' use scram-sha-256, md5, password or trust in its pg_hba.conf',
    );
  }
  if (NEEDS_PASSWORD.has(request) && !hasPassword) {
    return new errors.OperationalError(
      'the server asks for a password and none was given; set `password`, PGPASSWORD or a line in ~/.pgpass',
    );
  }
  return null;
}

/**
 * The error of a connection that the server refused. Whatever the server's reason, it is an `OperationalError`: the class of
 * the SQLSTATE where that is one, else the plain class with the reason as its cause.
 */
export function refusal(reason: errors.DatabaseError, address: string): errors.OperationalError {
  const message = `connection to server at ${address} failed: ${reason.diag.severity ?? 'FATAL'}: ${reason.message}`;
  const options = { diag: reason.diag, sqlstate: reason.sqlstate, cause: reason };
  if (!(reason instanceof errors.OperationalError)) return new errors.OperationalError(message, options);
  const Refused = reason.constructor as new (message: string, options: object) => errors.OperationalError;
  return new Refused(message, { diag: reason.diag, sqlstate: reason.sqlstate });
}
