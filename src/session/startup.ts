import { errorFromResponse } from '../errors/server-error.js';
import {
  readBackendKey,
  readErrorFields,
  readParameterStatus,
  readStatusByte,
} from '../wire/backend-messages.js';
import { failedAs } from '../wire/connect-failure.js';
import type { Engine } from '../wire/engine.js';
import { Backend } from '../wire/protocol.js';
import { describeAddress } from '../wire/socket.js';
import { isEncrypted, serverCertificate } from '../wire/tls.js';
import { mayComeBeforeSignIn, notConnected, refusal, SignIn } from './sign-in.js';
import type { ServerSettings } from './server-settings.js';
import { STATUS_OF_BYTE, type TransactionStatus } from './status.js';
import type { ResponseFields, Transport } from './transport.js';

/**
 * The startup of a session, from the server's first message to ReadyForQuery: sign-in, settings, and the key for cancel requests.
 */
export class Startup {
  readonly #transport: Transport;
  readonly #engine: Engine;
  readonly #settings: ServerSettings;
  readonly #signIn: SignIn;
  readonly #onReady: (status: TransactionStatus) => void;
  readonly #begun = performance.now();
  #hasAnswered = false;

  /** `settings` receives the reported settings; `onReady` is called when statements can be sent. */
  constructor(
    transport: Transport,
    engine: Engine,
    settings: ServerSettings,
    onReady: (status: TransactionStatus) => void,
  ) {
    this.#transport = transport;
    this.#engine = engine;
    this.#settings = settings;
    this.#onReady = onReady;
    this.#signIn = new SignIn(transport.login, {
      certificate: serverCertificate(transport.socket),
      send: (message) => {
        if (transport.phase === 'starting') transport.socket.write(message);
      },
      refuse: (error) => {
        transport.fail(notConnected(error, describeAddress(transport.address)));
      },
    });
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#hasAnswered) {
      this.#hasAnswered = true;
      this.#transport.roundTrip = (performance.now() - this.#begun) / 1000;
    }
    if (!this.#signIn.done && !mayComeBeforeSignIn(type)) {
      this.#violation(`a message of type '${String.fromCharCode(type)}' before it had let us in`);
      return;
    }
    let ready: TransactionStatus | null = null;
    switch (type) {
      // No listener is registered yet. A login trigger may cause either message.
      case Backend.NoticeResponse:
      case Backend.NotificationResponse:
        return;
      case Backend.ErrorResponse:
        this.#onRefusal(readErrorFields(bytes, start, end));
        return;
      case Backend.Authentication: {
        this.#signIn.onRequest(bytes.subarray(start, end));
        // postgres.js is told only that the sign-in has succeeded.
        if (!this.#signIn.done) return;
        break;
      }
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        this.#settings.set(name, value);
        break;
      }
      case Backend.BackendKeyData:
        this.#transport.key = readBackendKey(bytes, start, end);
        break;
      case Backend.ReadyForQuery:
        ready = STATUS_OF_BYTE[readStatusByte(bytes, start, end)]!;
        break;
      default:
        this.#violation(`a message of type '${String.fromCharCode(type)}' before it was ready`);
        return;
    }
    // A copy: postgres.js reads some of these messages after a turn of the event loop.
    this.#engine.show(Buffer.from(bytes.subarray(start - 5, end)));
    if (ready === null) return;
    this.#transport.phase = 'open';
    this.#onReady(ready);
  }

  #violation(detail: string): void {
    this.#transport.violation(detail, 'the connection was being started');
  }

  /** Handles the server's refusal. Until it knows the user, it may accept another encryption. */
  #onRefusal(fields: ResponseFields): void {
    const error = refusal(errorFromResponse(fields), describeAddress(this.#transport.address));
    if (!this.#signIn.done) {
      failedAs(isEncrypted(this.#transport.socket) ? 'refused over TLS' : 'refused', error);
    }
    this.#transport.fail(error);
  }
}
