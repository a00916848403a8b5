import { conninfoToDict, type ConninfoParams } from '../../index.js';
import type { ClientConfig } from './config.js';

/** What a connection string contains. */
export interface ParsedString {
  /** The properties that node-postgres has, too. */
  readonly config: ClientConfig;
  /** libpq's other parameters. */
  readonly others: ConninfoParams;
}

/** Parameters in a URI that are node-postgres's and not libpq's. */
const OWN_NAMES: Readonly<Record<string, keyof ClientConfig>> = {
  statement_timeout: 'statement_timeout',
  lock_timeout: 'lock_timeout',
  idle_in_transaction_session_timeout: 'idle_in_transaction_session_timeout',
  query_timeout: 'query_timeout',
  encoding: 'client_encoding',
};
const COMPATIBLE = 'uselibpqcompat';

/** `socket:/directory?db=name&encoding=utf8`, with or without `//user:password@` before the directory. */
const SOCKET = /^socket:(?:\/\/([^/?]*@)?)?(\/[^?]*)(?:\?(.*))?$/i;

/**
 * Parses node-postgres's connection strings: URIs with its parameters beside libpq's, `socket:/directory?db=database`, and
 * `/directory database`. `sslmode` means what it does there, unless `uselibpqcompat=true` stands beside it. Raises `ProgrammingError`
 * for any other text and for unknown parameters.
 */
export function parseConnectionString(text: string): ParsedString {
  if (text.startsWith('/')) {
    const [host, database] = text.split(' ');
    return { config: { host, database }, others: {} };
  }
  // node-postgres takes any scheme, and its users write `pg:`; others are mostly those of another database.
  const { uri, own } = withoutOwnParameters(socketAsUri(text).replace(/^pg:(?=\/\/)/i, 'postgresql:'));
  const { host, port, user, dbname, password, application_name, options, client_encoding, ...others } =
    conninfoToDict(uri);
  const config = withoutUndefined({
    host,
    port,
    user,
    password,
    database: dbname,
    application_name,
    options,
    client_encoding,
    ...Object.fromEntries(Object.entries(OWN_NAMES).map(([parameter, name]) => [name, own.get(parameter)])),
  });
  return { config, others: { ...others, ...(own.get(COMPATIBLE) === 'true' ? {} : tlsOf(others, own)) } };
}

/** Writes a `socket:` URI as libpq's; returns any other text as it is. */
function socketAsUri(text: string): string {
  const match = SOCKET.exec(text);
  if (match === null) return text;
  const [, login = '', directory = '', query = ''] = match;
  const parameters = query.split('&').filter((parameter) => parameter !== '');
  const renamed = parameters.map((parameter) => parameter.replace(/^db=/, 'dbname='));
  const host = `host=${directory.replace(/[&=]/g, encodeURIComponent)}`;
  return `postgresql://${login}?${[...renamed, host].join('&')}`;
}

/** The TLS parameters of a connection string in which `sslmode` means what it does in node-postgres. */
function tlsOf(
  { sslmode, sslrootcert }: Readonly<Record<string, string>>,
  own: ReadonlyMap<string, string>,
): ConninfoParams {
  const ssl = own.get('ssl');
  const mode = own.get('sslmode') ?? sslmode ?? (ssl === undefined ? undefined : WORDS[ssl]);
  switch (mode) {
    case undefined:
      return {};
    case 'prefer':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return { sslmode: 'verify-full', sslrootcert: sslrootcert ?? 'system' };
    case 'no-verify':
      return { sslmode: 'require', sslrootcert: undefined };
    default:
      return { sslmode: mode };
  }
}

/** What `ssl` may be in a connection string, as an `sslmode`. */
const WORDS: Readonly<Record<string, string>> = {
  true: 'verify-full',
  '1': 'verify-full',
  false: 'disable',
  '0': 'disable',
  'no-verify': 'no-verify',
};

/** Takes node-postgres's own parameters out of a URI. */
function withoutOwnParameters(uri: string): {
  readonly uri: string;
  readonly own: ReadonlyMap<string, string>;
} {
  const own = new Map<string, string>();
  const question = uri.indexOf('?');
  if (question < 0) return { uri, own };
  const kept = uri
    .slice(question + 1)
    .split('&')
    .filter((parameter) => {
      const [name = '', value = ''] = parameter.split('=', 2);
      const isOwn =
        Object.hasOwn(OWN_NAMES, name) ||
        name === 'ssl' ||
        name === COMPATIBLE ||
        parameter === 'sslmode=no-verify';
      if (isOwn) own.set(name, decodeURIComponent(value));
      return !isOwn;
    });
  return { uri: uri.slice(0, question) + (kept.length > 0 ? `?${kept.join('&')}` : ''), own };
}

function withoutUndefined(config: Readonly<Record<string, string | undefined>>): ClientConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
