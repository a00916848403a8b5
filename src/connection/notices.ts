import { channels, type NoticeMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { ResponseFields } from '../session/transport.js';
import type { Session } from '../session/session.js';

/** Hears of a notice of the server. */
export type NoticeHandler = (notice: errors.Diagnostic) => void;

/** Tells handlers, and those who watch, of a notice on this session. */
export function tellNotice(
  session: Session,
  handlers: readonly NoticeHandler[],
  fields: ResponseFields,
): void {
  if (channels.notice.hasSubscribers) {
    const message: NoticeMessage = { ...session.described, diag: new errors.Diagnostic(fields) };
    channels.notice.publish(message);
  }
  if (handlers.length === 0) return;
  const notice = new errors.Diagnostic(fields);
  for (const handler of [...handlers]) {
    try {
      handler(notice);
    } catch (error) {
      process.emitWarning(`a notice handler threw: ${thrownText(error)}`);
    }
  }
}
