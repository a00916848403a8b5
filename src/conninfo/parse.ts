import * as errors from '../errors/index.js';
import { checkName } from './parameters.js';
import { parseUri } from './uri.js';

/** Reads a connection string of either kind. Raises `ProgrammingError`; no message has more of it than a parameter's name. */
export function parseConninfo(conninfo: string): Record<string, string> {
  if (conninfo.includes('\0'))
    throw new errors.ProgrammingError('the connection string contains a NUL character');
  return /^postgres(?:ql)?:\/\//.test(conninfo) ? parseUri(conninfo) : parseKeywords(conninfo);
}

const PAIR = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\[^])*)'|((?:[^\s\\]|\\[^])*))\s*/y;

/** `host=localhost password='it\'s'`. */
function parseKeywords(text: string): Record<string, string> {
  const params: Record<string, string> = {};
  PAIR.lastIndex = /^\s*/.exec(text)![0].length;
  while (PAIR.lastIndex < text.length) {
    const at = PAIR.lastIndex;
    const match = PAIR.exec(text);
    if (match === null) throw malformed(text.slice(at));
    const [, name, quoted, plain] = match as unknown as [
      string,
      string,
      string | undefined,
      string | undefined,
    ];
    if (plain?.startsWith("'") === true) {
      throw new errors.ProgrammingError('unterminated quoted string in connection info string');
    }
    checkName(name);
    params[name] = (quoted ?? plain ?? '').replace(/\\([^])/g, '$1');
  }
  return params;
}

function malformed(rest: string): Error {
  const word = /^[^\s=]*/.exec(rest)![0];
  return new errors.ProgrammingError(
    `missing "=" after "${word.length > 30 ? '…' : word}" in connection info string; write name=value pairs or a postgresql:// URI`,
  );
}
