import postgres from 'postgres';
import type { Socket } from 'node:net';
import type { AuthenticationSettings } from '../conninfo/index.js';
import { EngineStream } from './engine-stream.js';

/** Who connects, as what, and with which settings. */
export interface Login {
  readonly user: string;
  readonly database: string;
  readonly password: string | null;
  /** What the server may ask for, to let us in. */
  readonly authentication: AuthenticationSettings;
  /** Settings sent with the startup message, such as `application_name`. */
  readonly parameters: Readonly<Record<string, string>>;
}

interface EngineInstance {
  unsafe(text: string, params: [], options: { simple: true }): Promise<unknown>;
}

/** An ErrorResponse that only says that there was an error: the session has read the real one. */
const FAILED = errorResponse();

/**
 * postgres.js, confined: it starts up and speaks the simple query protocol over a stream that is ours. This is the only
 * file that imports it.
 *
 * One instance serves one physical connection. Its own pool, reconnection, timers, type parsers and environment look-ups are all
 * kept out, so that nothing happens that the session did not ask for. Most sessions need it no more once they have started, so the
 * instance is let go then; a text of several statements makes another one, whose startup is answered here.
 */
export class Engine {
  readonly #socket: Socket;
  readonly #login: Login;
  readonly #onWritten: () => void;
  #instance: { readonly sql: EngineInstance; readonly stream: EngineStream } | null = null;
  #sent = 0;
  #written = 0;
  /** Whether each query handed over has reached the socket: what is written to it now comes after them. A field, since each statement asks. */
  allWritten = true;
  #closed = false;

  /** `onWritten` is called when every query given to `query()` so far has reached the socket. */
  constructor(socket: Socket, login: Login, onWritten: () => void) {
    this.#socket = socket;
    this.#login = login;
    this.#onWritten = onWritten;
  }

  /** Starts up. An empty query is what makes postgres.js connect; its stream answers it, so that it costs the session nothing. */
  start(): void {
    const instance = this.#make(false, () => {
      if (this.#sent > 0) return;
      instance.stream.close();
      this.#instance = null;
    });
    this.#instance = instance;
    run(instance.sql, '');
  }

  /** Sends `text` through the simple query protocol. The answer is read at the socket, never here. */
  query(text: string): void {
    if (this.#closed) return;
    this.#sent++;
    this.allWritten = false;
    this.#instance ??= this.#make(true, () => undefined);
    run(this.#instance.sql, text);
  }

  /** An instance of its own stream; `isSignedIn`: the server has let the session in, so that there is nobody to start up with. */
  #make(isSignedIn: boolean, onBegun: () => void): { sql: EngineInstance; stream: EngineStream } {
    const stream = new EngineStream(this.#socket, isSignedIn, {
      onBegun,
      onQueriesWritten: (count) => {
        this.#written += count;
        this.allWritten = this.#written === this.#sent;
        if (this.allWritten) this.#onWritten();
      },
    });
    const sql = postgres(isolatedOptions(this.#login, stream)) as unknown as EngineInstance;
    return { sql, stream };
  }

  /** Shows postgres.js whole backend messages that answer what it sent. */
  show(messages: Buffer): void {
    this.#instance?.stream.show(messages);
  }

  /** Shows postgres.js that what it sent has failed. */
  showFailure(): void {
    this.#instance?.stream.show(FAILED);
  }

  /** The connection is gone. */
  close(): void {
    this.#closed = true;
    this.#instance?.stream.close();
  }
}

function run(sql: EngineInstance, text: string): void {
  // The promise is of no interest, but its rejection must be seen to; subscribing is also what sends the query.
  void sql.unsafe(text, [], { simple: true }).catch(() => undefined);
}

/**
 * The complete options of a postgres.js instance. An object with `shared` is taken as it is, where any other would be
 * completed from the environment (PGTARGETSESSIONATTRS, PGPASSWORD, PGMAX …), which is the business of conninfo here.
 */
function isolatedOptions(login: Login, stream: EngineStream): never {
  let connected = false;
  const options = {
    // postgres.js opens a new socket whenever it believes that it should reconnect; a session never does.
    socket: (): EngineStream => {
      if (connected) throw new Error('a session has one socket');
      connected = true;
      return stream;
    },
    host: ['session'],
    port: [0],
    path: false,
    database: login.database,
    user: login.user,
    // The session answers the server's requests for authentication, and shows it only that they have been met.
    pass: '',
    max: 1,
    max_pipeline: Number.MAX_SAFE_INTEGER,
    ssl: false,
    sslnegotiation: null,
    idle_timeout: null,
    connect_timeout: null,
    max_lifetime: null,
    keep_alive: null,
    backoff: () => 0,
    prepare: false,
    debug: false,
    fetch_types: false,
    no_subscribe: true,
    publications: '',
    target_session_attrs: null,
    connection: login.parameters,
    types: {},
    serializers: {},
    parsers: {},
    transform: { undefined: undefined, column: {}, value: {}, row: {} },
    onnotice: () => undefined,
    parameters: {},
    shared: { retries: 0, typeArrayMap: {} },
  };
  return options as never;
}

function errorResponse(): Buffer {
  const body = Buffer.from('SERROR\0CXX000\0Mthe session has read the error\0\0');
  const message = Buffer.alloc(5 + body.length);
  message[0] = 0x45;
  message.writeInt32BE(4 + body.length, 1);
  body.copy(message, 5);
  return message;
}
