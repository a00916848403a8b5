import { conninfoToDict } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

/** What went over the wire. */
export interface Traffic {
  /** The types of the frontend's messages in order, by the protocol's letters: `BES` is Bind, Execute, Sync. Those that begin a
   * session have none. */
  readonly messages: string;
  /** In how many pieces they came, of which there are as many as writes to the socket, or fewer. */
  readonly packets: number;
  /** How many times the client sent something after it had heard the server. */
  readonly roundTrips: number;
}

/** What went over the wire, and how many bytes the server said. */
export interface Answered extends Traffic {
  readonly answered: number;
}

const HEADER = 5;

/** Counts what one connection says to the server, message by message. */
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

  /** A connection string that leads here. */
  get dsn(): string {
    return dsn({ host: '127.0.0.1', port: this.#proxy.port, sslmode: 'disable' });
  }

  /** What goes over the wire while `work` runs. Nothing may be under way when it begins, nor when it ends. */
  async during(work: () => Promise<unknown>): Promise<Traffic> {
    const { answered: _, ...traffic } = await this.answersTo(work);
    return traffic;
  }

  /** The same, and what the server has answered. */
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
        // What begins a session has no type, but begins with its length, which is small.
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
