import { conninfoToDict, type ConninfoParams } from '../../src/index.js';
import type { TestServer } from './server.js';

/** The connection parameters of whichever of the servers can be written to. */
export function writableServer(servers: readonly Pick<TestServer, 'dsn'>[]): ConninfoParams {
  const hosts = servers.map(({ dsn }) => conninfoToDict(dsn));
  return {
    host: hosts.map(({ host }) => host).join(','),
    port: hosts.map(({ port }) => port).join(','),
    user: 'postgres',
    dbname: 'postgres',
    target_session_attrs: 'read-write',
  };
}
