import { once } from 'node:events';
import { connect as open, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { FaultProxy } from './fault-proxy.js';
import { FakeServer } from './fake-server.js';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A server that echoes what it receives. */
const echo = (): Promise<FakeServer> => FakeServer.running(({ socket }) => void socket.pipe(socket));

async function dial(proxy: FaultProxy): Promise<Socket> {
  const socket = open({ port: proxy.port, host: '127.0.0.1' });
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

test('bytes pass both ways and are counted', async () => {
  await using server = await echo();
  await using proxy = await FaultProxy.to({ host: '127.0.0.1', port: server.port });
  const socket = await dial(proxy);
  socket.write('hello');
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
  expect(proxy.connections.map(({ bytes }) => bytes)).toEqual([{ up: 5, down: 5 }]);
});

test('late bytes arrive in order, and not before their time', async () => {
  await using server = await echo();
  await using proxy = await FaultProxy.to({ host: '127.0.0.1', port: server.port });
  proxy.latency = 0.05;
  const socket = await dial(proxy);
  const start = performance.now();
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  for (const letter of 'abc') socket.write(letter);
  while (text.length < 3) await once(socket, 'data');
  expect(text).toBe('abc');
  expect(performance.now() - start).toBeGreaterThanOrEqual(95);
});

test('a cut after some bytes lets exactly these through, then resets', async () => {
  await using server = await echo();
  await using proxy = await FaultProxy.to({ host: '127.0.0.1', port: server.port });
  const socket = await dial(proxy);
  socket.write('1');
  await once(socket, 'data');
  proxy.connections[0]!.cutAfter(3, 'down');
  socket.write('hello');
  const [error] = (await once(socket, 'error').catch((e: unknown) => [e])) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNRESET');
  expect(proxy.connections[0]!.bytes).toEqual({ up: 6, down: 4 });
});

test('a black hole swallows the bytes of one direction', async () => {
  await using server = await echo();
  await using proxy = await FaultProxy.to({ host: '127.0.0.1', port: server.port });
  const socket = await dial(proxy);
  socket.write('1');
  await once(socket, 'data');
  proxy.blackHole.add('down');
  socket.write('lost');
  socket.end();
  await expect.poll(() => proxy.connections[0]!.bytes.up).toBe(5);
  expect(proxy.connections[0]!.bytes.down).toBe(1);
});

test('a refusing proxy refuses new connections only, and accepts again on the same port', async () => {
  await using server = await echo();
  await using proxy = await FaultProxy.to({ host: '127.0.0.1', port: server.port });
  const early = await dial(proxy);
  early.write('1');
  await once(early, 'data');
  proxy.refuse();
  await expect(dial(proxy)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  early.write('2');
  await once(early, 'data');
  // The port is free only after the last connection has ended.
  proxy.resetAll();
  await once(early, 'error').catch(() => undefined);
  await expect
    .poll(() =>
      proxy.accept().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  await dial(proxy);
});
