import * as errors from '../errors/index.js';
import { storeParameter } from './parameter-names.js';

const USER = /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?/;
const HOST = /(?:\[(?<ipv6>[^\]]+)\]|(?!\[)(?<host>[^:/?,]*))(?::(?<port>[^/?,]*))?(?=[,/?]|$)/y;
const REST = /(?:\/(?<dbname>[^?]*))?(?:\?(?<query>[^]*))?$/y;

/** Parses a `postgresql://` URI, which may name several hosts. */
export function parseUri(uri: string): Record<string, string> {
  const params: Record<string, string> = {};
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') params[name] = decode(value, name);
  };
  const start = USER.exec(uri)!;
  set('user', start.groups?.['user']);
  set('password', start.groups?.['password']);

  const { hosts, ports, end } = readHosts(uri, start[0].length);
  set('host', hosts.join(','));
  // As in libpq, a host without a port leaves an empty element, so that the lists of hosts and ports keep the same length.
  set('port', ports.join(','));

  REST.lastIndex = end;
  const rest = REST.exec(uri)!.groups!;
  set('dbname', rest['dbname']);
  readQuery(rest['query'] ?? '', params);
  return params;
}

function readHosts(uri: string, start: number): { hosts: string[]; ports: string[]; end: number } {
  const hosts: string[] = [];
  const ports: string[] = [];
  for (let at = start; ; at += 1) {
    HOST.lastIndex = at;
    const match = HOST.exec(uri);
    if (match === null) {
      throw new errors.ProgrammingError(
        'a host in the connection URI is malformed; an IPv6 address needs brackets: [::1]',
      );
    }
    hosts.push(match.groups!['ipv6'] ?? match.groups!['host'] ?? '');
    ports.push(match.groups!['port'] ?? '');
    at += match[0].length;
    if (uri[at] !== ',') return { hosts, ports, end: at };
  }
}

function readQuery(query: string, params: Record<string, string>): void {
  if (query === '') return;
  for (const pair of query.replace(/&$/, '').split('&')) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.includes('=', equals + 1)) {
      throw new errors.ProgrammingError(
        'a parameter of the connection URI needs exactly one "=": name=value',
      );
    }
    const name = decode(pair.slice(0, equals), 'a parameter name');
    const value = decode(pair.slice(equals + 1), name);
    storeParameter(params, name, value);
  }
}

/** Decodes percent-encoding. The error message shows `name` instead of the text, which may be a password. */
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
