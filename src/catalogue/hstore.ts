import { adaptersOf } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import { hstore, hstoreDumper } from '../types/hstore.js';
import { checkInfo, TypeInfo } from './type-info.js';

/**
 * Loads hstore as plain objects whose values are strings or null, and sends plain objects as hstore (Psycopg: `register_hstore`):
 * on a connection, on a cursor, or without a context on all connections made from now on. Raises `ProgrammingError` for null,
 * which `TypeInfo.fetch()` returns if the extension is not installed.
 *
 * @example
 * registerHstore(await TypeInfo.fetch(conn, 'hstore'), conn);
 * await conn.execute('UPDATE item SET tags = tags || %s', [{ color: 'red', size: null }]);
 */
export function registerHstore(info: TypeInfo | null, context?: AdaptContext | null): void {
  const { oid } = checkInfo(
    info,
    TypeInfo,
    'registerHstore',
    'is the extension hstore installed in this database, and its schema in the search_path?',
  );
  const adapters = adaptersOf(context);
  info!.register(adapters);
  adapters.setCodec(oid, hstore);
  adapters.setDumper(Object, hstoreDumper(oid));
}
