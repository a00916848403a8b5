import * as errors from '../errors/index.js';

const PARAMETERS = ['sslrootcert', 'sslcert', 'sslkey', 'sslcrl'] as const;

/** The parameters whose values may be PEM text, as a string or as bytes, in place of a file's path. */
export type PemParameter = (typeof PARAMETERS)[number];

const takesPem: ReadonlySet<string> = new Set(PARAMETERS);

/** The beginning of each block of PEM text; no path of a file contains it. */
const BEGIN = '-----BEGIN ';

/** Whether a parameter's value is PEM text, as opposed to the path of a file. It may be a secret. */
export function isPem(value: string): boolean {
  return value.includes(BEGIN);
}

/** Raises `ProgrammingError` for PEM text where none can be, and for a private key that lost its first line. */
export function checkPem(name: string, value: string): void {
  if (takesPem.has(name)) {
    if (isPem(value) || !/[\r\n]/.test(value)) return;
    // The message does not show the value, which may be a private key.
    throw new errors.ProgrammingError(
      `the connection parameter ${name} is neither the path of a file nor PEM text, which has a line "-----BEGIN …-----"`,
    );
  }
  if (name === 'sslcrldir' && isPem(value)) {
    throw new errors.ProgrammingError(
      'the connection parameter sslcrldir is a directory: give a list of revoked certificates as PEM text by sslcrl',
    );
  }
}

/** The PEM text in the bytes that were given as a parameter. Raises `ProgrammingError` if there is none, or none can be. */
export function pemOf(name: string, { buffer, byteOffset, byteLength }: ArrayBufferView): string {
  if (!takesPem.has(name)) {
    throw new errors.ProgrammingError(
      `expected the connection parameter ${name} to be a string, got bytes, as which ${PARAMETERS.join(', ')} can be given`,
    );
  }
  const text = Buffer.from(buffer, byteOffset, byteLength).toString();
  if (isPem(text)) return text;
  throw new errors.ProgrammingError(
    `expected the bytes of the connection parameter ${name} to be PEM text, which has a line "-----BEGIN …-----"`,
  );
}
