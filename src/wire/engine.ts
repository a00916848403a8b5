import type { Socket } from 'node:net';
import { clearImmediate, setImmediate } from 'node:timers';
import type postgres from 'postgres';
import type { AuthenticationSettings } from '../conninfo/index.js';
import { EngineStream } from './engine-stream.js';
import { loadPostgres } from '../packages.js';

/** The user, database and settings of a session. */
export interface Login {
  readonly user: string;
  readonly database: string;
  readonly password: string | null;
  /** The authentication methods that the server may request. */
  readonly authentication: AuthenticationSettings;
  /** Settings for the startup message, such as `application_name`. */
  readonly parameters: Readonly<Record<string, string>>;
}

interface EngineInstance {
  unsafe(text: string, params: [], options: { simple: true }): Promise<unknown>;
}

let makeInstance: typeof postgres | null = null;

/** An ErrorResponse that only says that there was an error: the session has read the real one. */
const FAILED = errorResponse();

/**
 * postgres.js, confined: it starts up and speaks the simple query protocol over a stream that is ours. No other file
 * uses it.
 *
 * One instance serves one physical connection. Its pool, reconnection, timers, type parsers and environment look-ups are
 * disabled, so that it does nothing the session did not ask for. Most sessions need no instance after the startup, so it is
 * released then. A text of several statements creates another instance, whose startup is answered locally.
 */
export class Engine {
  readonly #socket: Socket;
  readonly #login: Login;
  readonly #onWritten: () => void;
  #instance: { readonly sql: EngineInstance; readonly stream: EngineStream } | null = null;
  #sent = 0;
  #written = 0;
  /**
   * Whether every query passed to `query()` has reached the socket, so that bytes written now come after them. A field instead of
   * a getter, since each statement reads it.
   */
  allWritten = true;
  #closed = false;

  /** Loads postgres.js. To be awaited before the first engine is made. */
  static async load(): Promise<void> {
    makeInstance ??= await loadPostgres();
    // postgres.js writes by these, and a sandbox such as Jest's jsdom has taken them away.
    globalThis.setImmediate ??= setImmediate;
    globalThis.clearImmediate ??= clearImmediate;
  }

  /** `onWritten` is called when every query given to `query()` so far has reached the socket. */
  constructor(socket: Socket, login: Login, onWritten: () => void) {
    this.#socket = socket;
    this.#login = login;
    this.#onWritten = onWritten;
  }

  /**
   * Starts the session. An empty query makes postgres.js connect; EngineStream answers it locally, so that it costs no round
   * trip.
   */
  start(): void {
    const instance = this.#make(false, () => {
      if (this.#sent > 0) return;
      instance.stream.close();
      this.#instance = null;
    });
    this.#instance = instance;
    run(instance.sql, '');
  }

  /** Sends `text` by the simple query protocol. The session reads the answer at the socket. */
  query(text: string): void {
    if (this.#closed) return;
    this.#sent++;
    this.allWritten = false;
    this.#instance ??= this.#make(true, () => undefined);
    run(this.#instance.sql, text);
  }

  /**
   * Creates an instance with its own stream. `isSignedIn`: the session has signed in before, so that the stream answers the
   * startup.
   */
  #make(isSignedIn: boolean, onBegun: () => void): { sql: EngineInstance; stream: EngineStream } {
    const stream = new EngineStream(this.#socket, isSignedIn, {
      onBegun,
      onQueriesWritten: (count) => {
        this.#written += count;
        this.allWritten = this.#written === this.#sent;
        if (this.allWritten) this.#onWritten();
      },
    });
    const sql = makeInstance!(isolatedOptions(this.#login, stream)) as unknown as EngineInstance;
    return { sql, stream };
  }

  /** Forwards complete backend messages that answer the engine's queries. */
  show(messages: Buffer): void {
    this.#instance?.stream.show(messages);
  }

  /** Tells postgres.js that its query has failed. */
  showFailure(): void {
    this.#instance?.stream.show(FAILED);
  }

  /** Tells postgres.js that the connection is lost. */
  close(): void {
    this.#closed = true;
    this.#instance?.stream.close();
  }
}

function run(sql: EngineInstance, text: string): void {
  // The session reads the result itself. The catch() prevents an unhandled rejection, and subscribing makes postgres.js send the
  // query.
  void sql.unsafe(text, [], { simple: true }).catch(() => undefined);
}

/**
 * The complete options of a postgres.js instance. The property `shared` makes postgres.js use the object as it is. Any other
 * object would be completed from the environment (PGTARGETSESSIONATTRS, PGPASSWORD, PGMAX …), which conninfo has evaluated
 * already.
 */
function isolatedOptions(login: Login, stream: EngineStream): never {
  let connected = false;
  const options = {
    // postgres.js asks for a new socket when it wants to reconnect, which a session never does.
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
    // The session answers the server's authentication requests and forwards only AuthenticationOk.
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
