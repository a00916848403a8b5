import { channels, type NoticeMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import type { ResponseFields } from '../session/transport.js';
import type { Session } from '../session/session.js';
import type { Handlers } from './handlers.js';

/** Hears of a notice of the server. */
export type NoticeHandler = (notice: errors.Diagnostic) => void;

/** Tells handlers, and those who watch, of a notice on this session. */
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
