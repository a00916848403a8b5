import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What a line of a password file is matched with. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password that the first matching line of the password file has for a connection, or null. A file that others may read is not
 * used, as in libpq, which a process warning (code `USINGPG_PASSFILE`) says.
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
    const fields = line.startsWith('#') ? undefined : ENTRY.exec(line.replace(/\r+$/, ''))?.slice(1);
    if (fields === undefined) continue;
    const matches = wanted.every((value, i) => fields[i] === '*' || unescaped(fields[i]!) === value);
    if (matches) return unescaped(fields[4]!) || null;
  }
  return null;
}

const FIELD = String.raw`((?:[^\\:]|\\[^])*)`;
/** host:port:database:user:password, each with a backslash before any `:` or `\` of its own. */
const ENTRY = new RegExp(String.raw`^${`${FIELD}:`.repeat(4)}((?:[^\\:]|\\[^]|\\$)*)`);

function unescaped(field: string): string {
  return field.replace(/\\([^])/g, '$1');
}

async function readIfPrivate(path: string): Promise<string | null> {
  const stats = await stat(path).catch(() => null);
  if (stats === null) return null;
  const problem = !stats.isFile()
    ? 'is not a plain file'
    : process.platform !== 'win32' && (stats.mode & 0o077) !== 0
      ? 'has group or world access; its permissions should be u=rw (0600) or less'
      : null;
  if (problem === null) return readFile(path, 'utf8').catch(() => null);
  process.emitWarning(`the password file "${path}" is not used: it ${problem}`, {
    code: 'USINGPG_PASSFILE',
  });
  return null;
}

function defaultPath(): string {
  return process.platform === 'win32'
    ? join(process.env['APPDATA'] ?? homedir(), 'postgresql', 'pgpass.conf')
    : join(homedir(), '.pgpass');
}
