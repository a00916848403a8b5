import { join } from 'node:path';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { checkName } from './parameter-names.js';

/**
 * Reads the parameters of a service from `file` if given, else from `~/.pg_service.conf`, else from `pg_service.conf` in the
 * directory PGSYSCONFDIR. Raises `OperationalError` if no file defines the service.
 */
export async function readService(name: string, file: string | undefined): Promise<Record<string, string>> {
  const files = file === undefined ? [join(node.os.homedir(), '.pg_service.conf')] : [file];
  const system = process.env['PGSYSCONFDIR'];
  if (system !== undefined) files.push(join(system, 'pg_service.conf'));
  for (const path of files) {
    let text: string;
    try {
      text = await node.fs.readFile(path, 'utf8');
    } catch (cause) {
      if (file === path) {
        throw new errors.OperationalError(`service file "${path}" can't be read`, { cause });
      }
      continue;
    }
    const found = findService(text, name, path);
    if (found !== null) return found;
  }
  throw new errors.OperationalError(
    `definition of service "${name}" not found; looked in ${files.join(', ')}`,
  );
}

function findService(text: string, service: string, path: string): Record<string, string> | null {
  let params: Record<string, string> | null = null;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (params !== null) return params;
      if (line === `[${service}]`) params = {};
      continue;
    }
    if (params === null) continue;
    const equals = line.indexOf('=');
    if (equals < 0) {
      throw new errors.OperationalError(`syntax error in service file "${path}", line ${String(index + 1)}`);
    }
    const name = line.slice(0, equals).trim();
    if (name === 'service' || name === 'servicefile') {
      throw new errors.OperationalError(
        `nested service specifications are not supported: "${path}", line ${String(index + 1)}`,
      );
    }
    checkName(name);
    params[name] ??= line.slice(equals + 1).trim();
  }
  return params;
}
