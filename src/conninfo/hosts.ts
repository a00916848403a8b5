import { existsSync } from 'node:fs';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';

/** One server to try. */
export interface HostTarget {
  /** The host's name, which the certificate must match, or the directory of a Unix socket. */
  readonly host: string;
  /** The IP address to connect to; null: the host name is resolved. */
  readonly hostaddr: string | null;
  readonly port: number;
  /** The path of the Unix socket; null for TCP. */
  readonly path: string | null;
}

/** The socket directory of Debian and others. libpq's default is fixed when it is compiled. */
export const SOCKET_DIRECTORY = '/var/run/postgresql';
const DEFAULT_PORT = '5432';

/**
 * Combines the comma-separated lists `host`, `hostaddr` and `port` into targets, as libpq does: the lists must have the same
 * length, except that one port applies to all hosts. An empty element means the default.
 */
export function readHosts(params: Readonly<Record<string, string>>): HostTarget[] {
  const hosts = list(params['host']);
  const addresses = list(params['hostaddr']);
  const count = Math.max(addresses.length, hosts.length, 1);
  if (hosts.length > 0 && addresses.length > 0 && hosts.length !== addresses.length) {
    throw new errors.OperationalError(
      `the connection parameter host has ${String(hosts.length)} elements and hostaddr has ${String(addresses.length)}; both need the same number`,
    );
  }
  const ports = list(params['port']);
  if (ports.length > 1 && ports.length !== count) {
    throw new errors.OperationalError(
      `the connection parameter port has ${String(ports.length)} elements for ${String(count)} hosts; give one for all, or one for each`,
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const port = portNumber((ports.length > 1 ? ports[i] : ports[0]) ?? '');
    return target(hosts[i] ?? '', addresses[i] ?? '', port);
  });
}

function list(value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : value.split(',');
}

function target(host: string, address: string, port: number): HostTarget {
  if (address !== '') {
    if (node.net.isIP(address) === 0) {
      throw new errors.OperationalError(
        `hostaddr "${address}" is not a network address; pass a host name as host`,
      );
    }
    return { host: host === '' ? address : host, hostaddr: address, port, path: null };
  }
  const name = host === '' ? defaultHost() : host;
  const isDirectory = name.startsWith('/') || name.startsWith('@');
  if (!isDirectory && name.includes('@')) {
    // In a URI, the text before the "@" is probably a piece of the password, so the message must not show it.
    throw new errors.OperationalError(
      'there is an "@" in the name of a host; special characters of user and password have to be percent-encoded in a URI',
    );
  }
  if (!isDirectory && /\/\/|^[^:]+:\d+$/.test(name)) {
    // It may be a whole URI, with a password in it.
    throw new errors.OperationalError(
      'a host has no port and no "//" in it: give the port as `port`, and a connection URI as the connection string',
    );
  }
  return {
    host: name,
    hostaddr: null,
    port,
    path: isDirectory ? `${name.replace(/^@/, '\0')}/.s.PGSQL.${String(port)}` : null,
  };
}

function defaultHost(): string {
  return process.platform !== 'win32' && existsSync(SOCKET_DIRECTORY) ? SOCKET_DIRECTORY : 'localhost';
}

function portNumber(given: string): number {
  const value = given === '' ? DEFAULT_PORT : given;
  // In a URI whose special characters are not encoded, the value may be a piece of the password, so the message must not show it.
  if (!/^\s*[+-]?\d+\s*$/.test(value)) {
    throw new errors.OperationalError(
      'the port is not a number; special characters of user and password have to be percent-encoded in a URI',
    );
  }
  const port = Number(value);
  // The digits may be a piece of the password, too, so the message does not show them.
  if (port < 1 || port > 65_535)
    throw new errors.OperationalError('the port number is out of range: it should be from 1 to 65535');
  return port;
}
