import * as errors from '../errors/index.js';
import {
  checkEmpty,
  ProtocolViolation,
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
import type { Link, ResponseFields } from './link.js';
import { mayComeBeforeSignIn, notConnected, refusal, SignIn } from './startup.js';
import type { StatementFlow } from './statement-flow.js';

/** From the first message of the server to its being ready: the sign-in, its settings, and the key of its cancel requests. */
export class Opening {
  readonly #link: Link;
  readonly #engine: Engine;
  readonly #flow: StatementFlow;
  readonly #parameters: Map<string, string>;
  readonly #signIn: SignIn;
  readonly #onOpen: () => void;
  /** How many of the answers have come that end startup: ReadyForQuery, EmptyQueryResponse, ReadyForQuery. */
  #step = 0;

  /** `parameters` is filled; `onOpen` is called when statements can be sent. */
  constructor(
    link: Link,
    engine: Engine,
    flow: StatementFlow,
    parameters: Map<string, string>,
    onOpen: () => void,
  ) {
    this.#link = link;
    this.#engine = engine;
    this.#flow = flow;
    this.#parameters = parameters;
    this.#onOpen = onOpen;
    this.#signIn = new SignIn(link.login, {
      certificate: serverCertificate(link.socket),
      send: (message) => {
        if (link.phase === 'starting') link.socket.write(message);
      },
      refuse: (error) => {
        link.fail(notConnected(error, describeAddress(link.address)));
      },
    });
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#signIn.done && !mayComeBeforeSignIn(type)) {
      this.#link.violation(`a message of type '${String.fromCharCode(type)}' before it had let us in`);
      return;
    }
    switch (type) {
      case Backend.NoticeResponse:
        return;
      case Backend.ErrorResponse:
        this.#onRefusal(readErrorFields(bytes, start, end));
        return;
      case Backend.Authentication: {
        this.#signIn.onRequest(bytes.subarray(start, end));
        // postgres.js hears only that we are in.
        if (!this.#signIn.done) return;
        break;
      }
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        this.#parameters.set(name, value);
        break;
      }
      case Backend.BackendKeyData:
        this.#link.key = readBackendKey(bytes, start, end);
        break;
      case Backend.ReadyForQuery:
        this.#flow.statusByte = readStatusByte(bytes, start, end);
        // The first ends the server's startup, the second the empty query that made postgres.js connect.
        if (this.#step === 1) throw new ProtocolViolation('a ReadyForQuery that answers nothing');
        this.#step++;
        break;
      case Backend.EmptyQueryResponse:
        checkEmpty(start, end);
        if (this.#step !== 1) throw new ProtocolViolation('an EmptyQueryResponse that answers nothing');
        this.#step++;
        break;
      default:
        this.#link.violation(`a message of type '${String.fromCharCode(type)}' before it was ready`);
        return;
    }
    // A copy: postgres.js reads some of these messages after a turn of the event loop.
    this.#engine.show(Buffer.from(bytes.subarray(start - 5, end)));
    if (this.#step === 3) {
      this.#link.phase = 'open';
      this.#onOpen();
    }
  }

  /** The server does not let us in; before it knows who we are, it might in another way. */
  #onRefusal(fields: ResponseFields): void {
    const error = refusal(errors.errorFromResponse(fields), describeAddress(this.#link.address));
    if (!this.#signIn.done) failedAs(isEncrypted(this.#link.socket) ? 'refused over TLS' : 'refused', error);
    this.#link.fail(error);
  }
}
