import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { FakeClient, Script } from './fake-server.js';

/** A message of the server, and the number of bytes that the client had sent before. */
export interface RecordedMessage {
  readonly after: number;
  readonly bytes: Buffer;
}

/** All messages of a server on one connection. */
export type Recording = readonly RecordedMessage[];

const FIRST_PATIENCE = 10;
const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);

/** Records the messages that the server at `target` sends to `play`, which connects once to the port it gets. */
export async function record(
  target: { host: string; port: number },
  play: (port: number) => Promise<void>,
): Promise<Recording> {
  const chunks: RecordedMessage[] = [];
  let sent = 0;
  let upstream: Socket | null = null;
  const server = createServer({ noDelay: true }, (client) => {
    const server = (upstream = connect({ ...target, noDelay: true }));
    client.on('data', (bytes) => {
      sent += bytes.length;
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      chunks.push({ after: sent, bytes });
      client.write(bytes);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('close', () => other.destroy());
      one.on('error', () => undefined);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await play((server.address() as AddressInfo).port);
  } finally {
    (upstream as Socket | null)?.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
  return messagesOf(chunks);
}

function messagesOf(chunks: readonly RecordedMessage[]): Recording {
  const stream = Buffer.concat(chunks.map(({ bytes }) => bytes));
  const messages: RecordedMessage[] = [];
  let chunk = 0;
  let chunkEnd = chunks[0]?.bytes.length ?? 0;
  for (let at = 0; at < stream.length;) {
    const end = at + 1 + stream.readInt32BE(at + 1);
    while (chunkEnd < end) chunkEnd += chunks[++chunk]!.bytes.length;
    messages.push({ after: chunks[chunk]!.after, bytes: stream.subarray(at, end) });
    at = end;
  }
  return messages;
}

/**
 * Replays a recording: sends each message as soon as the client has sent the bytes that preceded it. Disconnects a client that
 * sends nothing for `patience` seconds when it should. `replaying` is called for each client that is not a cancel request.
 */
export function replay(recording: () => Recording, patience: number, replaying: () => void): Script {
  return async (client) => {
    // The client speaks first, however busy this process is.
    if (!(await received(client, 8, FIRST_PATIENCE))) return;
    if (client.received().subarray(0, 8).equals(CANCEL_REQUEST)) {
      client.socket.end();
      return;
    }
    replaying();
    const messages = recording();
    for (let i = 0; i < messages.length;) {
      const { after } = messages[i]!;
      if (!(await received(client, after, patience))) return;
      const together: Buffer[] = [];
      for (; messages[i]?.after === after; i++) together.push(messages[i]!.bytes);
      client.send(...together);
    }
    await received(client, Infinity, patience);
  };
}

/** Whether the client sends `count` bytes in total without a pause of `patience` seconds; disconnects it otherwise. */
function received(client: FakeClient, count: number, patience: number): Promise<boolean> {
  const { socket } = client;
  return new Promise((resolve) => {
    const settle = (result: boolean): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      if (!result) socket.end();
      resolve(result);
    };
    const onData = (): void => {
      if (client.received().length >= count) settle(true);
      else timer.refresh();
    };
    const onClose = (): void => {
      settle(false);
    };
    const timer = setTimeout(onClose, patience * 1000);
    socket.on('data', onData).on('close', onClose);
    if (socket.destroyed) onClose();
    else if (client.received().length >= count) settle(true);
  });
}
