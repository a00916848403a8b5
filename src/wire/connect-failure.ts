/**
 * The failures after which another attempt may succeed: the server did not answer at that address ('unreachable'), the connection
 * was lost during the TLS handshake ('handshake lost'), TLS could not be set up ('tls'), or the server refused the session. Any
 * other failure, such as an untrusted peer, ends the attempts.
 */
export type ConnectFailure = 'unreachable' | 'handshake lost' | 'tls' | 'refused' | 'refused over TLS';

const failures = new WeakMap<Error, ConnectFailure>();

/** Marks `error` with the reason why connecting failed, and returns it. */
export function failedAs<E extends Error>(failure: ConnectFailure, error: E): E {
  failures.set(error, failure);
  return error;
}

/** The reason set by `failedAs`, or null. */
export function connectFailure(error: unknown): ConnectFailure | null {
  return error instanceof Error ? (failures.get(error) ?? null) : null;
}
