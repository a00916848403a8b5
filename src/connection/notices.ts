import { channels, type NoticeMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import type { ResponseFields } from '../session/transport.js';
import type { Session } from '../session/session.js';
import type { Handlers } from './handlers.js';

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
