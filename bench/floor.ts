import { once } from 'node:events';
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { FrontendWriter } from '../src/wire/frontend-writer.js';
import type { Contender } from './race.js';

const READY = 0x5a;
const HEADER = 5;
const READ_SIZE = 65_536;

/**
 * A connection that discards answers: the time of server and socket, which no client can beat. Only for servers without
 * passwords.
 */
export class Floor implements Disposable {
  readonly #socket: Socket;
  /** The remaining bytes of the message in which the last chunk ended. */
  #skip = 0;
  /** The first bytes of an incomplete header. */
  #begun = Buffer.alloc(0);
  #readyMissing = 1;
  #onReady: () => void = () => undefined;

  private constructor() {
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_SIZE),
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length));
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
  }

  static async connect(dsn: string): Promise<Floor> {
    const { hostname, port, username, pathname } = new URL(dsn);
    const floor = new Floor();
    floor.#socket.connect(Number(port), hostname).setNoDelay(true);
    await once(floor.#socket, 'connect');
    const parameters = ['user', username, 'database', pathname.slice(1), '']
      .map((text) => `${text}\0`)
      .join('');
    const startup = Buffer.alloc(8 + parameters.length);
    startup.writeInt32BE(startup.length, 0);
    startup.writeInt32BE(196_608, 4);
    startup.write(parameters, 8, 'latin1');
    await floor.ask(startup);
    return floor;
  }

  /** Sends messages that include `readies` Syncs or Queries. Resolves when all have been answered. */
  ask(messages: Uint8Array, readies = 1): Promise<void> {
    this.#readyMissing = readies;
    return new Promise((resolve) => {
      this.#onReady = resolve;
      this.#socket.write(messages);
    });
  }

  /** A race's floor: the work without a client. */
  static contender(run: () => Promise<void>): Contender {
    return { name: 'bytes thrown away', floor: true, run };
  }

  /** Sends a simple query. */
  query(text: string): Promise<void> {
    const body = Buffer.from(`${text}\0`);
    const header = Buffer.from([0x51, 0, 0, 0, 0]);
    header.writeInt32BE(body.length + 4, 1);
    return this.ask(Buffer.concat([header, body]));
  }

  /** The messages of executions of the prepared statement: Bind and Execute for each, and one Sync. */
  static executions(all: readonly (readonly string[])[]): Buffer {
    const writer = new FrontendWriter();
    for (const params of all) {
      writer.bind(
        'floor',
        params.map((text) => ({ text })),
      );
      writer.execute();
    }
    writer.sync();
    return writer.take();
  }

  /** The messages of an unprepared statement, with one Sync, after those of a BEGIN if it has one. */
  static statement(text: string, params: readonly string[], begin?: string): Buffer {
    const writer = new FrontendWriter();
    if (begin !== undefined) {
      writer.parse('', begin, []);
      writer.bind('', []);
      writer.execute();
    }
    const sent = params.map((param) => ({ text: param, oid: 0 }));
    writer.parse('', text, sent);
    writer.bind('', sent);
    writer.describePortal();
    writer.execute();
    writer.sync();
    return writer.take();
  }

  /** Prepares the statement for `executions()`. */
  prepare(text: string): Promise<void> {
    const writer = new FrontendWriter();
    writer.parse('floor', text, []);
    writer.sync();
    return this.ask(writer.take());
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#begun.length > 0) {
      bytes = Buffer.concat([this.#begun, chunk]);
      this.#begun = Buffer.alloc(0);
    }
    let at = this.#skip;
    while (at + HEADER <= bytes.length) {
      if (bytes[at] === READY) this.#readyMissing--;
      at += 1 + bytes.readInt32BE(at + 1);
    }
    if (at < bytes.length) {
      this.#begun = Buffer.from(bytes.subarray(at));
      this.#skip = 0;
    } else {
      this.#skip = at - bytes.length;
    }
    if (this.#readyMissing === 0) this.#onReady();
  }
}
