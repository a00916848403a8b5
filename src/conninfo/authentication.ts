import * as errors from '../errors/index.js';

/** An authentication method by libpq's name; 'none': the server asks for no authentication. */
export type AuthMethod = (typeof METHODS)[number];

/** The restrictions on how the server may authenticate the client. */
export interface AuthenticationSettings {
  /** The methods that `require_auth` allows; null: any. */
  readonly allowed: ReadonlySet<AuthMethod> | null;
  /** Whether SCRAM is bound to the TLS connection, so that a man in the middle cannot relay the sign-in. */
  readonly channelBinding: 'disable' | 'prefer' | 'require';
}

const METHODS = ['none', 'password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth'] as const;
const KNOWN: ReadonlySet<string> = new Set(METHODS);

/** Reads `require_auth` and `channel_binding`. */
export function readAuthentication(params: Readonly<Record<string, string>>): AuthenticationSettings {
  return {
    allowed: allowedMethods(params['require_auth'] ?? ''),
    // The parameter's value was validated when it was read.
    channelBinding: (params['channel_binding'] || 'prefer') as AuthenticationSettings['channelBinding'],
  };
}

/** Parses a comma-separated list of methods; each may be negated with a leading `!`. */
function allowedMethods(value: string): ReadonlySet<AuthMethod> | null {
  if (value === '') return null;
  const named = new Set<AuthMethod>();
  const items = value.split(',');
  const negated = items[0]!.startsWith('!');
  for (const item of items) {
    if (item.startsWith('!') !== negated) {
      throw new errors.OperationalError(
        `the connection parameter require_auth=${value} mixes methods with and without "!"; all or none have it`,
      );
    }
    const method = item.replace(/^!/, '');
    if (!KNOWN.has(method)) {
      throw new errors.OperationalError(
        `invalid value "${item}" in the connection parameter require_auth; the methods are ${METHODS.join(', ')}`,
      );
    }
    if (named.has(method as AuthMethod)) {
      throw new errors.OperationalError(
        `the connection parameter require_auth has the method "${item}" more than once`,
      );
    }
    named.add(method as AuthMethod);
  }
  return negated ? new Set(METHODS.filter((method) => !named.has(method))) : named;
}
