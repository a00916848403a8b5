import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The direction of bytes: from the client to the server (up), or back (down). */
export type Direction = 'up' | 'down';

/** One client's connection through the proxy. */
export interface ProxiedConnection {
  /** The number of bytes passed on so far. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Whether the client has ended it, whether or not the server knows. */
  readonly left: boolean;
  /** Ends the connection at once, with a TCP reset to the client. */
  reset(): void;
  /** Ends the connection to the client with a FIN, like a server that closes it. */
  finish(): void;
  /** Passes at most `count` further bytes in that direction, then resets the connection. */
  cutAfter(count: number, direction: Direction): void;
}

/** A TCP proxy in front of a server, within this process, with controllable faults. Settings also apply to open connections. */
export class FaultProxy implements AsyncDisposable {
  /** Every connection since the start, in order. */
  readonly connections: ProxiedConnection[] = [];
  /** The delay of bytes in each direction, in seconds. */
  latency = 0;
  /** The directions in which bytes vanish. While it has 'up', the server does not see new connections either, then or later. */
  readonly blackHole = new Set<Direction>();
  /** Called with each chunk as it arrives, before any fault is applied. */
  onChunk: ((direction: Direction, chunk: Buffer) => void) | null = null;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #port = 0;

  private constructor(target: { host: string; port: number }) {
    // Half-open, so that each side's FIN is passed on.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      // A server that was connected to without a word would keep a process, and could not shut down before it gives that up.
      const isSeen = !this.blackHole.has('up');
      const upstream = isSeen ? connect({ ...target, noDelay: true, allowHalfOpen: true }) : null;
      const link = new Link(this, client, upstream);
      this.connections.push(link);
      this.#links.add(link);
      client.once('close', () => this.#links.delete(link));
    });
  }

  /** Starts a proxy on a free port, to the server at `target`. */
  static async to(target: { host: string; port: number }): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await proxy.accept();
    return proxy;
  }

  /** The port that it listens on; `host` is 127.0.0.1. */
  get port(): number {
    return this.#port;
  }

  /** Accepts connections, on the same port as before if it had one. */
  async accept(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses new connections; open ones stay. */
  refuse(): void {
    this.#server.close();
  }

  /** The connections that are open. */
  get open(): readonly ProxiedConnection[] {
    return [...this.#links];
  }

  /** Resets every open connection. */
  resetAll(): void {
    for (const link of this.#links) link.reset();
  }

  /** Ends every connection and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : Promise.resolve();
    this.#server.close();
    this.resetAll();
    await closed;
  }
}

class Link implements ProxiedConnection {
  readonly bytes = { up: 0, down: 0 };
  left = false;
  readonly #allowed: Record<Direction, number> = { up: Infinity, down: Infinity };
  readonly #client: Socket;
  /** Null if the server does not know of the connection. */
  readonly #upstream: Socket | null;

  constructor(proxy: FaultProxy, client: Socket, upstream: Socket | null) {
    this.#client = client;
    this.#upstream = upstream;
    this.#pump(proxy, client, upstream, 'up');
    if (upstream !== null) this.#pump(proxy, upstream, client, 'down');
    upstream?.on('error', () => {
      this.reset();
    });
    client.on('error', () => {
      upstream?.destroy();
    });
    client.on('end', () => {
      this.left = true;
    });
    client.on('close', () => {
      this.left = true;
      upstream?.destroy();
    });
  }

  #pump(proxy: FaultProxy, from: Socket, to: Socket | null, direction: Direction): void {
    // Chunks keep their order, even if the latency changes in the meantime.
    const queue: { readonly due: number; readonly deliver: () => void }[] = [];
    const deliverDue = (): void => {
      for (let next = queue[0]; next !== undefined; next = queue[0]) {
        const left = next.due - performance.now();
        if (left > 0) {
          setTimeout(deliverDue, left);
          return;
        }
        next.deliver();
        queue.shift();
      }
    };
    const late = (deliver: () => void): void => {
      if (proxy.latency === 0 && queue.length === 0) {
        deliver();
        return;
      }
      queue.push({ due: performance.now() + proxy.latency * 1000, deliver });
      if (queue.length === 1) deliverDue();
    };
    from.on('data', (chunk: Buffer) => {
      proxy.onChunk?.(direction, chunk);
      if (to === null || proxy.blackHole.has(direction)) return;
      late(() => {
        const allowed = chunk.subarray(0, Math.min(chunk.length, this.#allowed[direction]));
        this.#allowed[direction] -= allowed.length;
        this.bytes[direction] += allowed.length;
        const isCut = allowed.length < chunk.length;
        if (to.writable && allowed.length > 0) {
          const flowing = to.write(allowed, () => {
            // libuv reports a reset that arrives together with data as an end of file, so the data must be read first.
            if (isCut) setTimeout(() => this.reset(), 20);
          });
          if (!flowing) {
            from.pause();
            to.once('drain', () => from.resume());
          }
        } else if (isCut) this.reset();
      });
    });
    from.on('end', () => {
      if (!proxy.blackHole.has(direction)) late(() => to?.end());
    });
  }

  reset(): void {
    // libuv refuses to reset a socket that is being shut down, and Node would then never close it.
    if (this.#client.writableEnded) this.#client.destroy();
    else this.#client.resetAndDestroy();
    this.#upstream?.destroy();
  }

  finish(): void {
    this.#client.end();
    this.#upstream?.destroy();
  }

  cutAfter(count: number, direction: Direction): void {
    this.#allowed[direction] = count;
  }
}
