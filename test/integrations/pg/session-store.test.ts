import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import connectPgSimple from 'connect-pg-simple';
import express from 'express';
import session from 'express-session';
import { expect, onTestFinished, test } from 'vitest';
import { admin } from '../../support/database.js';
import { makePool } from './clients.js';

declare module 'express-session' {
  interface SessionData {
    visits: number;
  }
}

test('connect-pg-simple keeps the sessions of Express', async () => {
  const pool = makePool({ max: 2 });
  onTestFinished(async () => {
    await admin('DROP TABLE IF EXISTS facade_session');
  });
  const Store = connectPgSimple(session);
  const store = new Store({
    // Its declarations name the class of node-postgres, whose interface the pool has.
    pool: pool as never,
    tableName: 'facade_session',
    createTableIfMissing: true,
    pruneSessionInterval: false,
  });
  const app = express();
  app.use(session({ store, secret: 'quiet', resave: false, saveUninitialized: false }));
  app.get('/', (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json(request.session.visits);
  });
  app.get('/leave', (request, response) => {
    request.session.destroy(() => response.json('left'));
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    store.close();
  });
  const { port } = server.address() as AddressInfo;
  let cookie = '';
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, {
      headers: { cookie, connection: 'close' },
    });
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
    return response.json();
  };
  expect([await get('/'), await get('/'), await get('/')]).toEqual([1, 2, 3]);
  expect(await admin('SELECT sess FROM facade_session')).toMatchObject([{ sess: { visits: 3 } }]);
  await get('/leave');
  expect(await admin('SELECT sess FROM facade_session')).toEqual([]);
});
