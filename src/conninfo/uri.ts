import * as errors from '../errors/index.js';
import { checkName } from './parameters.js';

const URI =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?]*)(?:\/(?<dbname>[^?]*))?(?:\?(?<query>.*))?$/s;
const HOST = /^(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:[\]]*))(?::(?<port>.*))?$/s;

/** Reads a `postgresql://` URI, which may name several hosts. */
export function parseUri(uri: string): Record<string, string> {
  const parts = URI.exec(uri)?.groups;
  if (parts === undefined) {
    throw new errors.ProgrammingError(
      'the connection URI is malformed; it should read postgresql://user:password@host:port/dbname?name=value, with' +
        ' special characters percent-encoded',
    );
  }
  const params: Record<string, string> = {};
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') params[name] = decode(value, name);
  };
  set('user', parts['user']);
  set('password', parts['password']);
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const host of (parts['hosts'] ?? '').split(',')) {
    const match = HOST.exec(host)?.groups;
    if (match === undefined || match['ipv6'] === '') {
      throw new errors.ProgrammingError(
        'a host in the connection URI is malformed; an IPv6 address needs brackets: [::1]',
      );
    }
    hosts.push(match['ipv6'] ?? match['host'] ?? '');
    ports.push(match['port'] ?? '');
  }
  if (hosts.some((host) => host !== '')) set('host', hosts.join(','));
  if (ports.some((port) => port !== '')) set('port', ports.join(','));
  set('dbname', parts['dbname']);
  for (const pair of (parts['query'] ?? '').split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.includes('=', equals + 1)) {
      throw new errors.ProgrammingError(
        'a parameter of the connection URI needs exactly one "=": name=value',
      );
    }
    const name = decode(pair.slice(0, equals), 'a parameter name');
    const value = decode(pair.slice(equals + 1), name);
    if (name === 'ssl' && value === 'true') {
      params['sslmode'] = 'require';
      continue;
    }
    checkName(name);
    params[name] = value;
  }
  return params;
}

/** `name` is for the message, which shows nothing of the value: it may be a password. */
function decode(text: string, name: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch (cause) {
    throw new errors.ProgrammingError(`invalid percent-encoded token in ${name} of the connection URI`, {
      cause: new Error(cause instanceof Error ? cause.name : 'malformed'),
    });
  }
  if (decoded.includes('\0')) {
    throw new errors.ProgrammingError(`forbidden value %00 in ${name} of the connection URI`);
  }
  return decoded;
}
