import { join } from 'node:path';
import { node } from '../node-modules.js';

/** The connection that the lines of a password file are matched against. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * Returns the password of the first matching line of the password file, or null. As in libpq, a file that the group or others can
 * access is not used; a process warning (code `USINGPG_PASSFILE`) reports it.
 */
export async function readPasswordFile(
  query: PasswordQuery,
  passfile: string | undefined,
): Promise<string | null> {
  const path = passfile ?? defaultPath();
  const text = await readIfPrivate(path);
  if (text === null) return null;
  const wanted = [query.host, String(query.port), query.database, query.user];
  for (const line of text.split('\n')) {
    const fields = line.startsWith('#') ? null : entryOf(line);
    if (fields === null) continue;
    const matches = wanted.every((value, i) => fields[i] === '*' || unescaped(fields[i]!) === value);
    if (matches) return unescaped(fields[4]!) || null;
  }
  return null;
}

/** Splits a line into host:port:database:user:password, where a backslash escapes `:` and `\\`. Null for a line of another form. */
function entryOf(line: string): string[] | null {
  let end = line.length;
  while (line[end - 1] === '\r') end--;
  const fields: string[] = [];
  let start = 0;
  for (let at = 0; at < end && fields.length < 5; at++) {
    if (line[at] === '\\') at++;
    else if (line[at] === ':') {
      fields.push(line.slice(start, at));
      start = at + 1;
    }
  }
  if (fields.length < 5) fields.push(line.slice(start, end));
  return fields.length === 5 ? fields : null;
}

function unescaped(field: string): string {
  return field.replace(/\\([^])/g, '$1');
}

async function readIfPrivate(path: string): Promise<string | null> {
  const stats = await node.fs.stat(path).catch(() => null);
  if (stats === null) return null;
  const problem = !stats.isFile()
    ? 'is not a plain file'
    : process.platform !== 'win32' && (stats.mode & 0o077) !== 0
      ? 'has group or world access; its permissions should be u=rw (0600) or less'
      : null;
  if (problem === null) return node.fs.readFile(path, 'utf8').catch(() => null);
  process.emitWarning(`the password file "${path}" is not used: it ${problem}`, {
    code: 'USINGPG_PASSFILE',
  });
  return null;
}

function defaultPath(): string {
  return process.platform === 'win32'
    ? join(process.env['APPDATA'] ?? node.os.homedir(), 'postgresql', 'pgpass.conf')
    : join(node.os.homedir(), '.pgpass');
}
