import { AsyncResource } from 'node:async_hooks';
import { channels, type NoticeMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { checkArgument, FUNCTION } from '../options/kinds.js';
import type { Session } from '../session/session.js';
import type { ResponseFields } from '../session/transport.js';

interface Added<Event> {
  readonly handler: (event: Event) => void;
  /** Calls the handler in the asynchronous context in which it was added. */
  readonly call: (event: Event) => void;
}

/** The handlers of one kind of event, which are called in the order and in the contexts in which they were added. @internal */
export class Handlers<Event> {
  readonly #kind: string;
  #added: readonly Added<Event>[];

  /** `kind` names the event in messages, such as `notice`. Starts with the handlers of `others`. */
  constructor(kind: string, others?: Handlers<Event>) {
    this.#kind = kind;
    this.#added = others === undefined ? [] : others.#added;
  }

  get isEmpty(): boolean {
    return this.#added.length === 0;
  }

  /** Returns a function that removes this registration. Raises `ProgrammingError` for a handler that is no function. */
  add(handler: (event: Event) => void): () => void {
    checkArgument(`a ${this.#kind} handler`, handler, FUNCTION);
    const added = { handler, call: AsyncResource.bind(handler, 'usingpg.handler') };
    this.#added = [...this.#added, added];
    return () => {
      this.#added = this.#added.filter((one) => one !== added);
    };
  }

  /** Removes one registration of the handler. Returns whether there was one. */
  remove(handler: (event: Event) => void): boolean {
    const index = this.#added.findIndex((added) => added.handler === handler);
    if (index < 0) return false;
    this.#added = this.#added.filter((_, i) => i !== index);
    return true;
  }

  /** Calls each handler. A handler that throws causes a process warning and does not prevent the others. */
  tell(event: Event): void {
    for (const { call } of this.#added) {
      try {
        call(event);
      } catch (error) {
        process.emitWarning(`a ${this.#kind} handler threw: ${thrownText(error)}`);
      }
    }
  }
}

/** A handler of a connection's loss, which receives the error that ended the connection. */
export type LossHandler = (error: Error) => void;

/** A handler of the server's notices. */
export type NoticeHandler = (notice: errors.Diagnostic) => void;

/** Passes a notice to the handlers and publishes it on the diagnostics channel. */
export function tellNotice(
  session: Session,
  handlers: Handlers<errors.Diagnostic>,
  fields: ResponseFields,
): void {
  if (channels.notice.hasSubscribers) {
    const message: NoticeMessage = { ...session.described, diag: new errors.Diagnostic(fields) };
    channels.notice.publish(message);
  }
  if (!handlers.isEmpty) handlers.tell(new errors.Diagnostic(fields));
}
