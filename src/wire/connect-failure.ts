/**
 * Why connecting failed, where something else may be tried: the server did not answer at that address ('unreachable'), or
 * left in the midst of TLS being set up ('handshake lost'), TLS could not be set up ('tls'), or the server refused before it had let us in. Whatever fails in another way, a peer that is not to be
 * trusted say, ends the attempts.
 */
export type ConnectFailure = 'unreachable' | 'handshake lost' | 'tls' | 'refused' | 'refused over TLS';

const failures = new WeakMap<Error, ConnectFailure>();

/** Notes why connecting failed with `error`, and returns it. */
export function failedAs<E extends Error>(failure: ConnectFailure, error: E): E {
  failures.set(error, failure);
  return error;
}

/** What `failedAs` has noted, or null. */
export function connectFailure(error: unknown): ConnectFailure | null {
  return error instanceof Error ? (failures.get(error) ?? null) : null;
}
