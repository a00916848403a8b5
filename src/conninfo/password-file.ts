import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What a line of a password file is matched with. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The password that the password file has for a connection, or null. A file that others may read is not used, as in libpq. */
export async function readPasswordFile(
  query: PasswordQuery,
  passfile: string | undefined,
): Promise<string | null> {
  const path = passfile ?? defaultPath();
  const stats = await stat(path).catch(() => null);
  if (stats === null) return null;
  // Few have such a file, and all would wait for its reader to be loaded.
  const { default: pgpass } = await import('pgpass/lib/helper.js');
  if (!pgpass.usePgPass(stats, path)) return null;
  return new Promise((resolve) => {
    const stream = createReadStream(path);
    stream.on('error', () => {
      resolve(null);
    });
    pgpass.getPassword(query, stream, (password) => {
      resolve(password ?? null);
    });
  });
}

function defaultPath(): string {
  return process.platform === 'win32'
    ? join(process.env['APPDATA'] ?? homedir(), 'postgresql', 'pgpass.conf')
    : join(homedir(), '.pgpass');
}
