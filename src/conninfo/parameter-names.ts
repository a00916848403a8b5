import * as errors from '../errors/index.js';
import { CONNINFO, explainUnknown, registerPlace, type Place } from '../options/unknown-name.js';
import { PARAMETERS, requiredSslMode } from './parameters.js';
import { checkPem } from './pem.js';

const PLACE: Place = {
  call: CONNINFO,
  names: Object.keys(PARAMETERS),
  has: (name) => Object.hasOwn(PARAMETERS, name),
};
registerPlace(PLACE);

/** Whether a connection string may contain a parameter of this name. */
export function isKnownName(name: string): boolean {
  return PLACE.has(name) || name === 'requiressl';
}

/** Refuses a name that is not a parameter's, and says what its user may have meant. */
export function checkName(name: string, value?: unknown): void {
  if (PLACE.has(name)) return;
  // What does not look like a name may be a piece of a connection string, with a password in it.
  if (!/^[\w-]{1,63}$/.test(name)) {
    throw new errors.ProgrammingError(
      'invalid connection option: what stands before the first "=" is not the name of a parameter',
    );
  }
  const advice = explainUnknown(name, value, PLACE);
  throw new errors.ProgrammingError(
    `invalid connection option "${name}"${advice === null ? '' : `: ${advice}`}`,
  );
}

/** Stores a parameter of a connection string under its known name. `requiressl` is the obsolete form of `sslmode`. */
export function storeParameter(params: Record<string, string>, name: string, value: string): void {
  if (name === 'requiressl') {
    params['sslmode'] = requiredSslMode(value);
    return;
  }
  checkName(name, value);
  checkPem(name, value);
  params[name] = value;
}
