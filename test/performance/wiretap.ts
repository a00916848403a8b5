import { conninfoToDict } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

/** The traffic of a connection. */
export interface Traffic {
  /** The types of the frontend's messages in order, by the protocol's letters: `BES` is Bind, Execute, Sync. Those that begin a
   * session have none. */
  readonly messages: string;
  /** The number of pieces in which they arrived, which is at most the number of writes to the socket. */
  readonly packets: number;
  /** How often the client sent something after it had received something. */
  readonly roundTrips: number;
}

/** The traffic, and the number of bytes that the server sent. */
export interface Answered extends Traffic {
  readonly answered: number;
}

const HEADER = 5;

/** Counts the messages that a client sends on one connection. */
export class Wiretap implements AsyncDisposable {
  readonly #proxy: FaultProxy;
  #rest = Buffer.alloc(0);
  #messages = '';
  #packets = 0;
  #roundTrips = 0;
  #answered = 0;
  #last: 'up' | 'down' = 'down';

  private constructor(proxy: FaultProxy) {
    this.#proxy = proxy;
  }

  static async start(): Promise<Wiretap> {
    const { host, port } = conninfoToDict(dsn());
    return new Wiretap(await FaultProxy.to({ host: String(host), port: Number(port) }));
  }

  /** A connection string that leads through the wiretap. */
  get dsn(): string {
    return dsn({ host: '127.0.0.1', port: this.#proxy.port, sslmode: 'disable' });
  }

  /** Measures the traffic while `work` runs. Nothing may be in flight at its start and at its end. */
  async during(work: () => Promise<unknown>): Promise<Traffic> {
    const { answered: _, ...traffic } = await this.answersTo(work);
    return traffic;
  }

  /** Like `during()`, with the size of the server's answers. */
  async answersTo(work: () => Promise<unknown>): Promise<Answered> {
    this.#messages = '';
    this.#answered = 0;
    this.#packets = 0;
    this.#roundTrips = 0;
    this.#last = 'down';
    this.#proxy.onChunk = (direction, chunk) => {
      if (direction === 'up') {
        this.#packets++;
        if (this.#last === 'down') this.#roundTrips++;
        this.#read(chunk);
      } else this.#answered += chunk.length;
      this.#last = direction;
    };
    await work();
    this.#proxy.onChunk = null;
    return {
      messages: this.#messages,
      packets: this.#packets,
      roundTrips: this.#roundTrips,
      answered: this.#answered,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#proxy[Symbol.asyncDispose]();
  }

  #read(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + HEADER <= bytes.length) {
      if (bytes[at] === 0) {
        // The first message of a session has no type; it begins with its length, whose first byte is small.
        at += bytes.readInt32BE(at);
        continue;
      }
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (end > bytes.length) break;
      this.#messages += String.fromCharCode(bytes[at]!);
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}
