import * as errors from '../errors/index.js';
import { isKnownName, storeParameter } from './parameters.js';
import { parseUri } from './uri.js';

/** Reads a connection string of either kind. Raises `ProgrammingError`; no message has more of it than a parameter's name. */
export function parseConninfo(conninfo: string): Record<string, string> {
  if (conninfo.includes('\0'))
    throw new errors.ProgrammingError('the connection string contains a NUL character');
  return /^postgres(?:ql)?:\/\//.test(conninfo) ? parseUri(conninfo) : parseKeywords(conninfo);
}

// Spaces are those of C: others, a no-break space say, are characters like any other, in a password too.
const SPACES = /[ \t\n\v\f\r]*/y;
const PAIR =
  /(?<name>[^ \t\n\v\f\r=]+)[ \t\n\v\f\r]*=[ \t\n\v\f\r]*(?:'(?<quoted>(?:[^'\\]|\\[^])*)'|(?<plain>(?:[^ \t\n\v\f\r\\]|\\[^]|\\$)*))/y;

/** `host=localhost password='it\'s'`. */
function parseKeywords(text: string): Record<string, string> {
  const params: Record<string, string> = {};
  let afterPassword = false;
  for (let at = skipSpaces(text, 0); at < text.length; at = skipSpaces(text, PAIR.lastIndex)) {
    PAIR.lastIndex = at;
    const groups = PAIR.exec(text)?.groups;
    if (groups === undefined) throw malformed(text.slice(at), afterPassword);
    const { name, quoted, plain } = groups as { name: string; quoted?: string; plain?: string };
    if (plain?.startsWith("'") === true) {
      throw new errors.ProgrammingError('unterminated quoted string in connection info string');
    }
    if (afterPassword && !isKnownName(name)) throw splitPassword();
    storeParameter(params, name, (quoted ?? plain ?? '').replace(/\\([^]?)/g, '$1'));
    afterPassword = name === 'password' && plain !== undefined;
  }
  return params;
}

function skipSpaces(text: string, from: number): number {
  SPACES.lastIndex = from;
  SPACES.exec(text);
  return SPACES.lastIndex;
}

function malformed(rest: string, afterPassword: boolean): Error {
  const word = /^[^ \t\n\v\f\r=]*/.exec(rest)![0];
  if (afterPassword && !isKnownName(word)) return splitPassword();
  // A word that is no parameter's name may be a piece of a value that nobody is to see.
  return new errors.ProgrammingError(
    `missing "=" after ${isKnownName(word) ? `"${word}"` : 'a word'} in connection info string; write name=value pairs or a postgresql:// URI`,
  );
}

/** What follows an unquoted password and makes no sense is most likely the rest of it: it is not shown. */
function splitPassword(): Error {
  return new errors.ProgrammingError(
    'what follows the password in connection info string is not a connection option; a password with spaces needs quotes',
  );
}
